// @ts-check
// Versions and modes of other people's programs, of which one run tries some: `npm test` the first of each list, a
// configuration of its own all others. A file that is run alone tries all.
'use strict'

const which = process.env.GOSCOPE_TEST_VARIANTS

/**
 * @template T
 * @param {readonly T[]} list the most used first
 * @returns {readonly T[]}
 */
function variants(list) {
  if (which === 'first') return list.slice(0, 1)
  return which === 'rest' ? list.slice(1) : list
}

module.exports = { variants }
