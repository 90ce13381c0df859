// @ts-check
// The same, and ioredis sends what one iteration of the event loop asks for at once.
'use strict'

const redis = require('./redis.js')

const open = (/** @type {string} */ url) => redis.open(url, { enableAutoPipelining: true })

module.exports = { open, versions: redis.versions }
