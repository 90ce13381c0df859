// @ts-check
'use strict'

// Its types are not installed here.
const { Store } = require(/** @type {string} */ ('express-session'))
const { sessionStoreOn } = require('./lib/integrations/session-store.js')

const SessionStore = sessionStoreOn(Store)

module.exports = { SessionStore }
