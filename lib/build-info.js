// @ts-check
'use strict'

const native = require('./native.js')

// A copy, of the caller's realm.
const { version, target, features } = native.buildInfo()

/** What the native addon is. */
const buildInfo = Object.freeze({ version, target, features: Object.freeze([...features]) })

module.exports = { buildInfo }
