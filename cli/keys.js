// @ts-check
// Converts keys from their stored form to the form that applications know.
'use strict'

/** The beginning of a digest, under which a key is stored that the table cannot hold: see src/store/keys.rs. */
const DIGEST = '\x01#'

/**
 * The key of a row: null if only its digest is there.
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
 * For people. If they have not named a prefix, the row's prefix is shown before the key.
 *
 * @param {any} row
 * @param {import('./options.js').Given} given
 */
function shownKey({ key, keyPrefix, storedKey }, given) {
  const shown = key ?? behindMark(storedKey.slice(storedKey.lastIndexOf(DIGEST) + DIGEST.length))
  return given['key-prefix'] === undefined && keyPrefix ? `${keyPrefix}  ${shown}` : shown
}

/**
 * A digest, or a semaphore's permit: see src/store/locks/permit_key.rs.
 *
 * @param {string} tail of a stored key, behind the mark
 */
function behindMark(tail) {
  const [, permit, semaphore] = /^(\d+):(.*)$/s.exec(tail) ?? []
  return permit === undefined ? `(digest) ${tail}` : `${semaphore} (permit ${permit})`
}

module.exports = { keyOf, shownKey }
