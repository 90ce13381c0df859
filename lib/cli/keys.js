// @ts-check
// Keys, from how the tables hold them to how applications know them.
'use strict'

/** What the digest begins with under which a key is stored that the table cannot hold: see src/store/keys.rs. */
const DIGEST = '\x01#'

/**
 * The key of a row: null where only its digest is there.
 *
 * @param {any} row
 * @param {import('./options.js').Given} given
 */
const keyOf = ({ key, keyPrefix, storedKey }, given) => ({
  key: key.startsWith(DIGEST) ? null : key,
  keyPrefix: given['key-prefix'] ?? keyPrefix,
  storedKey,
})

/**
 * For people; a prefix that they have not named stands before it.
 *
 * @param {any} row
 * @param {import('./options.js').Given} given
 */
function shownKey({ key, keyPrefix, storedKey }, given) {
  const shown = key ?? `(digest) ${storedKey.slice(storedKey.lastIndexOf(DIGEST) + DIGEST.length)}`
  return given['key-prefix'] === undefined && keyPrefix ? `${keyPrefix}  ${shown}` : shown
}

/**
 * At most as many rows as were wanted, of one more that were asked for.
 *
 * @template T
 * @param {T[]} rows
 * @param {number} limit
 */
const limited = (rows, limit) => ({
  data: rows.slice(0, limit),
  notes: rows.length > limit ? [`There are more than these ${limit}: --limit, or --match`] : [],
})

module.exports = { keyOf, limited, shownKey }
