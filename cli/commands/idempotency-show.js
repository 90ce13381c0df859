// @ts-check
'use strict'

const { showing } = require('../one.js')
const { RESULT } = require('../subjects.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
The whole value, every number exactly. Exits with 1 if there is no such result. One that has expired is shown, until
later calls remove it. Without --key-prefix, the key is the one that is stored, its prefix included.

--json prints { key, keyPrefix, storedKey, bytes, state: "live" | "expired", expiresAt: ISO 8601 or null, expiresInMs,
value }.`,
  ...showing(RESULT),
}
