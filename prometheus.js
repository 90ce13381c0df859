// @ts-check
'use strict'

const { toPrometheus } = require('./lib/prometheus/exposition.js')
const { prometheusHandler } = require('./lib/prometheus/handler.js')

module.exports = { prometheusHandler, toPrometheus }
