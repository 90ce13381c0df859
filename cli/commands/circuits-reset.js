// @ts-check
'use strict'

const { changing } = require('../change-command.js')
const { CIRCUIT } = require('../subjects.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
All processes call again what the breaker protects. The times of its last failure and success stay. A breaker that has
changed since it was shown is left alone.

It shows what will happen and asks; --yes does not ask, and without a terminal it is required.

--json prints { key, reset: true, circuit }: the circuit breaker as it was, as "circuits --json" has it.`,
  ...changing('reset', 'circuit', CIRCUIT),
}
