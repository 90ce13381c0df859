// @ts-check
// What one run tries of a long list, and for how long. `npm test` tries the first of each list, a configuration of its own
// in `npm run test:all` the others, and all at their full length. A file that is run alone does everything.
'use strict'

const which = process.env.GOSCOPE_TEST_VARIANTS

/**
 * Versions and modes of other people's programs, kinds of keys, and the like.
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
 * How long a test repeats something that goes wrong at some times only.
 *
 * @param {number} full
 * @param {number} brief in `npm test`
 */
const extent = (full, brief) => (which === 'first' ? brief : full)

module.exports = { extent, variants }
