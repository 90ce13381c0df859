// @ts-check
'use strict'

/** In the order in which doctor examines them. */
const TABLES = [
  'go_goscope_locks',
  'go_goscope_circuit',
  'go_goscope_cache',
  'go_goscope_checkpoints',
  'go_goscope_idempotency',
]

module.exports = { TABLES }
