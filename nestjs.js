// @ts-check
'use strict'

const { GoscopePostgresHealth } = require('./lib/nestjs/health.js')
const { GoscopePostgresModule } = require('./lib/nestjs/module.js')

module.exports = { GoscopePostgresHealth, GoscopePostgresModule }
