// @ts-check
'use strict'

const { LatencyProducer } = require('./lib/opentelemetry/latency-producer.js')
const { observePool } = require('./lib/opentelemetry/pool-metrics.js')
const { traceCalls } = require('./lib/opentelemetry/spans.js')

module.exports = { LatencyProducer, observePool, traceCalls }
