// @ts-check
'use strict'

const { buildInfo } = require('../../lib/build-info.js')
const { ok } = require('./check.js')

/** An open session proves that there is an addon; if it is missing, its own error says what to do. */
const installation = () =>
  ok('installation', `goscope-postgres ${buildInfo.version} for ${buildInfo.target}, Node.js ${process.versions.node}`)

module.exports = { installation }
