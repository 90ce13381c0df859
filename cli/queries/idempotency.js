// @ts-check
'use strict'

const { ENTRY_COUNTS } = require('./entries.js')
const { countsOf } = require('./rows.js')

const RESULTS = { table: 'go_goscope_idempotency', namespace: '' }

/** @param {import('./rows.js').Session} session */
const counts = (session) => countsOf(session, RESULTS, ENTRY_COUNTS)

module.exports = { RESULTS, counts }
