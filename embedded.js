// @ts-check
'use strict'

module.exports = require('./lib/embedded/start.js')
