// @ts-check
// Which items of a long list one run tries, and for how long. `npm test` tries the first of each list. The last
// configuration tries the others, and all at full length. `npm run test:all` runs a file that declares `first, last`
// once, with the whole list, and a file that is run alone does everything, too.
'use strict'

const which = process.env.GOSCOPE_TEST_VARIANTS

/**
 * Versions and modes of external programs, kinds of keys, and the like.
 *
 * @template T
 * @param {readonly T[]} list the most used first
 * @param {number} [first] how many `npm test` tries
 * @returns {readonly T[]}
 */
function variants(list, first = 1) {
  if (which === 'first') return list.slice(0, first)
  return which === 'rest' ? list.slice(first) : list
}

/**
 * How long a test repeats an operation that fails only at times.
 *
 * @param {number} full
 * @param {number} brief in `npm test`
 */
const extent = (full, brief) => (which === 'first' ? brief : full)

module.exports = { extent, variants }
