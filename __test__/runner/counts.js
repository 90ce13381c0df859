// @ts-check
// How many configurations there are, and how many test files run in each. A file that falls out of a configuration, or
// a configuration that is lost, makes the runner fail. Change a number here only if that is what you intended.
'use strict'

/** @type {Record<import('./declarations.js').Group, { configurations: number, files: number }>} */
const COUNTS = {
  first: { configurations: 1, files: 169 },
  servers: { configurations: 5, files: 36 },
  poolers: { configurations: 3, files: 37 },
  role: { configurations: 1, files: 33 },
  partitions: { configurations: 2, files: 33 },
  last: { configurations: 1, files: 51 },
}

module.exports = { COUNTS }
