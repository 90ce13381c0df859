// @ts-check
'use strict'

/**
 * When an entry expires, by the process's clock, as it is sent to PostgreSQL.
 *
 * Faults: a negative TTL stores what has expired already, NaN means no expiry, `Infinity` throws, and a year beyond
 * 9999 has a form that PostgreSQL does not read.
 *
 * @param {any} ttl
 */
const expiryAfter = (ttl) => (ttl ? new Date(Date.now() + ttl).toISOString() : null)

module.exports = { expiryAfter }
