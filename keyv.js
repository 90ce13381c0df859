// @ts-check
'use strict'

const { KeyvStore } = require('./lib/integrations/keyv-store.js')

module.exports = { KeyvStore }
