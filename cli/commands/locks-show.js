// @ts-check
'use strict'

const { showing } = require('../one.js')
const { LOCK } = require('../subjects.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Exits with 1 if there is no such lock. One that has expired is shown, until later calls remove it.

--json prints a lock as "locks --json" has it.`,
  ...showing(LOCK),
}
