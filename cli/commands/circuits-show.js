// @ts-check
'use strict'

const { showing } = require('../one.js')
const { CIRCUIT } = require('../subjects.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Exits with 1 if no process has stored a state under this key. Then the breaker is closed.

--json prints a circuit breaker as "circuits --json" has it.`,
  ...showing(CIRCUIT),
}
