// @ts-check
'use strict'

/** More letters than that are another word. */
const MOST_MISTAKES = 3

/**
 * The name that somebody may have meant.
 *
 * @param {string} typed
 * @param {string[]} names
 */
function nearest(typed, names) {
  const [best] = names
    .map((name) => ({ name, mistakes: mistakes(typed, name) }))
    .filter(({ name, mistakes }) => mistakes <= Math.min(MOST_MISTAKES, name.length / 2) || name.startsWith(typed))
    .sort((a, b) => Number(b.name.startsWith(typed)) - Number(a.name.startsWith(typed)) || a.mistakes - b.mistakes)
  return best?.name
}

/**
 * Levenshtein's distance.
 *
 * @param {string} from
 * @param {string} to
 */
function mistakes(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[to.length]
}

module.exports = { nearest }
