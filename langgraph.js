// @ts-check
'use strict'

// Its types are not installed here.
const langgraph = require(/** @type {string} */ ('@langchain/langgraph-checkpoint'))
const { saverOn } = require('./lib/langgraph/saver.js')

const PostgresCheckpointSaver = saverOn(langgraph)

module.exports = { PostgresCheckpointSaver }
