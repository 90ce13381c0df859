// @ts-check
// Calls that do nothing: what the schedule of an open loop has by itself.
'use strict'

const { OF_PARTS, OPERATIONS } = require('../operations.js')
const { unchecked } = require('./unchecked.js')

const open = async () => ({
  calls: Object.fromEntries(OF_PARTS.loadLimits.map((operation) => [operation, async () => {}])),
  close: async () => {},
})

module.exports = { open, versions: () => ({}), operations: unchecked(OPERATIONS) }
