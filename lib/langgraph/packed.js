// @ts-check
// Values as the saver's serializer makes them: a type, and bytes. JSON has no bytes. Those that are text are stored as text,
// so that the database's own tools can show them, and all others in base64.
'use strict'

/**
 * @typedef {object} Serde LangGraph's SerializerProtocol
 * @property {(value: any) => Promise<[string, Uint8Array]>} dumpsTyped
 * @property {(type: string, bytes: Uint8Array) => Promise<any>} loadsTyped
 *
 * @typedef {{ type: string, text: string } | { type: string, base64: string }} Packed
 */

const encoder = new TextEncoder()
// A decoder that would skip a byte order mark, or replace what is no text, would change the value.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @param {Uint8Array} bytes */
function textOf(bytes) {
  try {
    const text = decoder.decode(bytes)
    // JSONB cannot hold U+0000.
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/**
 * @param {Serde} serde
 * @param {unknown} value
 * @returns {Promise<Packed>}
 */
async function pack(serde, value) {
  const [type, bytes] = await serde.dumpsTyped(value)
  const text = textOf(bytes)
  return text === undefined ? { type, base64: Buffer.from(bytes).toString('base64') } : { type, text }
}

/**
 * @param {Serde} serde
 * @param {Packed} packed
 */
async function unpack(serde, packed) {
  // No Buffer: the value may be these bytes themselves.
  const bytes = 'text' in packed ? encoder.encode(packed.text) : new Uint8Array(Buffer.from(packed.base64, 'base64'))
  return await serde.loadsTyped(packed.type, bytes)
}

module.exports = { pack, unpack }
