// @ts-check
'use strict'

const { showing } = require('../one.js')
const { CACHED } = require('../subjects.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
The whole value, every number exactly. Exits with 1 if there is no such entry. One that has expired is shown, until
later calls remove it.

--json prints an entry as "cache list --json" has it, and its value.`,
  ...showing(CACHED),
}
