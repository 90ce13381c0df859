// @ts-check
// The values of unstorage in JSONB: text as it is, so that SQL can read it, and in an object what is no text, or no text that
// JSONB can hold.
'use strict'

const args = require('../arguments.js')
const { isRefusedByJsonb } = require('./jsonb.js')

/**
 * @typedef {string | { base64: string } | { escaped: string } | { json: unknown }} StoredValue
 */

/** @param {string} text @returns {StoredValue} */
const encoded = (text) => (isInJsonb(text) ? text : { escaped: JSON.stringify(text) })

/** Without U+0000 and lone surrogates. @param {string} text */
const isInJsonb = (text) => !text.includes('\0') && /** @type {any} */ (text).isWellFormed()

/**
 * A raw value: bytes, text, or something else that JSON can express.
 *
 * @param {any} value
 * @returns {StoredValue}
 */
function encodedRaw(value) {
  if (typeof value === 'string') return encoded(value)
  const bytes = bytesOf(value)
  if (bytes) return { base64: bytes.toString('base64') }
  const text = args.json('value', value)
  return isRefusedByJsonb(text) ? { escaped: text } : { json: value }
}

/** @param {any} value */
function bytesOf(value) {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const name = Object.prototype.toString.call(value)
  return name === '[object ArrayBuffer]' || name === '[object SharedArrayBuffer]' ? Buffer.from(value) : undefined
}

/**
 * @param {any} stored
 * @returns {unknown} a raw value: bytes as a Buffer; null if there is none
 */
function decoded(stored) {
  if (stored === null || typeof stored === 'string') return stored
  if (typeof stored.base64 === 'string') return Buffer.from(stored.base64, 'base64')
  return typeof stored.escaped === 'string' ? JSON.parse(stored.escaped) : stored.json
}

/** @param {any} stored @returns {string | null} as text, also of a raw value */
function textOf(stored) {
  const value = decoded(stored ?? null)
  if (value === null || typeof value === 'string') return value
  return Buffer.isBuffer(value) ? value.toString() : JSON.stringify(value)
}

module.exports = { decoded, encoded, encodedRaw, textOf }
