// @ts-check
'use strict'

const { storageDriver } = require('./lib/integrations/storage-driver.js')

module.exports = { default: storageDriver, storageDriver }
