// @ts-check
// Windows of several sides in turn, so that two sides are compared by windows that stood next to each other.
'use strict'

/** @typedef {import('../window.js').Figures} Figures */

/** @typedef {Record<string, Figures>} Group windows that stood next to each other, by side */

/**
 * @template {{ name: string }} S
 * @param {S[]} sides the first stands next to each of the others
 * @param {number} rounds
 * @param {(side: S) => Promise<Figures>} window
 */
async function measureGroups(sides, rounds, window) {
  /** @type {Group[]} */
  const groups = []
  for (let round = 0; round < rounds; round++) {
    for (const group of schedule(sides, round)) {
      /** @type {Group} */
      const figures = {}
      for (const side of group) figures[side.name] = await window(side)
      groups.push(figures)
    }
  }
  return groups
}

/**
 * @param {Group[]} groups
 * @param {string} name of the side
 */
const windowsOf = (groups, name) => groups.flatMap((group) => group[name] ?? [])

/**
 * @param {Group[]} groups
 * @param {string} one side
 * @param {string} other
 */
const pairsOf = (groups, one, other) =>
  groups.flatMap(({ [one]: first, [other]: second }) =>
    first && second ? [/** @type {[Figures, Figures]} */ ([first, second])] : [],
  )

/**
 * One round's windows in groups: a window of the first side with one of another before it and one after, so that each of
 * the others stands next to one of the first. Every other round goes backwards, so no side is always the first.
 *
 * @template {{ name: string }} S
 * @param {S[]} sides
 * @param {number} round
 * @returns {S[][]}
 */
function schedule([first, ...others], round) {
  if (first === undefined) return []
  if (others.length === 0) return [[first]]
  const groups = []
  for (let at = 0; at < others.length; at += 2) {
    const [before, after] = others.slice(at, at + 2)
    groups.push([.../** @type {S[]} */ ([before]), first, ...(after ? [after] : [])])
  }
  return round % 2 === 0 ? groups : groups.reverse().map((group) => group.reverse())
}

module.exports = { measureGroups, pairsOf, schedule, windowsOf }
