// @ts-check
// The native addon, as napi-rs' generated loader finds it.
'use strict'

/** @type {typeof import('../native')} */
const native = require('../native.js')

module.exports = native
