// @ts-check
'use strict'

const { editDistance } = require('../lib/edit-distance.js')

/** A name with more wrong letters is another word. */
const MOST_MISTAKES = 3

/**
 * The known name that was probably meant.
 *
 * @param {string} typed
 * @param {string[]} names
 */
function nearest(typed, names) {
  if (typed === '') return undefined
  const [best] = names
    .map((name) => ({ name, mistakes: editDistance(typed, name) }))
    .filter(({ name, mistakes }) => mistakes <= Math.min(MOST_MISTAKES, name.length / 2) || name.startsWith(typed))
    .sort((a, b) => Number(b.name.startsWith(typed)) - Number(a.name.startsWith(typed)) || a.mistakes - b.mistakes)
  return best?.name
}

module.exports = { nearest }
