// @ts-check
'use strict'

const { buildInfo } = require('../../build-info.js')
const { ok } = require('./check.js')

/** That there is an addon shows by the session; an absent one says by itself what to do. */
const installation = () =>
  ok('installation', `goscope-postgres ${buildInfo.version} for ${buildInfo.target}, Node.js ${process.versions.node}`)

module.exports = { installation }
