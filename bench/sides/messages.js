// @ts-check
// Little more than the protocol needs of a client in JavaScript for single calls: protocol messages written by hand to one connection, and a
// promise for each call. Calls that are made in one tick share a write and a Sync, so also a commit, but each has a
// statement of its own. Of the answers only the end is looked for: there are no rows, and an error rejects all of a write.
'use strict'

const { Client } = require('pg')
const { OPERATIONS, TTL, VALUE, keyName } = require('../operations.js')
const statements = require('../statements.js')
const { unchecked } = require('./unchecked.js')

const STATEMENTS = /** @type {const} */ ({
  get: statements.GET,
  loadLatest: statements.LOAD_LATEST,
  set: statements.SET,
  recordFailure: statements.RECORD_FAILURE,
  acquire: statements.ACQUIRE,
  release: statements.RELEASE,
})

const ERROR = 'E'.charCodeAt(0)
const READY = 'Z'.charCodeAt(0)
const SYNC = Buffer.from([...Buffer.from('S'), 0, 0, 0, 4])
const EXECUTE = Buffer.from([...Buffer.from('E'), 0, 0, 0, 9, 0, 0, 0, 0, 0])

/** @typedef {{ resolve: () => void, reject: (error: Error) => void }} Waiting */

/** A connection on which messages are written and read by hand. */
class Messages {
  /** Written, but not sent. @type {Buffer[]} */
  #out = []
  /** Of what is not sent. @type {Waiting[]} */
  #waiting = []
  /** Of each write that has no answer yet. @type {Waiting[][]} */
  #sent = []
  /** The beginning of a message. @type {Buffer} */
  #rest = Buffer.alloc(0)
  /** @type {Error | undefined} */
  #failure

  /** @param {import('node:net').Socket} stream that has logged in */
  constructor(stream) {
    this.stream = stream
    stream.on('data', (data) => this.#read(data))
  }

  /**
   * @param {string} name
   * @param {string} text
   * @returns {Promise<void>}
   */
  prepare(name, text) {
    return this.#ask(message('P', `${name}\0${text}\0\0\0`))
  }

  /**
   * @param {string} name of a prepared statement
   * @param {string[]} values
   * @returns {Promise<void>}
   */
  execute(name, values) {
    return this.#ask(bind(name, values), EXECUTE)
  }

  /** @param {Buffer[]} messages @returns {Promise<void>} */
  #ask(...messages) {
    if (this.#waiting.length === 0) process.nextTick(() => this.#send())
    this.#out.push(...messages)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #send() {
    this.stream.write(Buffer.concat([...this.#out, SYNC]))
    this.#out = []
    this.#sent.push(this.#waiting)
    this.#waiting = []
  }

  /** @param {Buffer} data */
  #read(data) {
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data
    let at = 0
    while (at + 5 <= all.length) {
      const end = at + 1 + all.readInt32BE(at + 1)
      if (end > all.length) break
      if (all[at] === ERROR) this.#failure = new Error(all.toString('latin1', at + 5, end))
      if (all[at] === READY) this.#settle()
      at = end
    }
    this.#rest = all.subarray(at)
  }

  #settle() {
    for (const { resolve, reject } of this.#sent.shift() ?? []) this.#failure ? reject(this.#failure) : resolve()
    this.#failure = undefined
  }
}

/**
 * @param {string} type
 * @param {string} body
 */
function message(type, body) {
  const found = Buffer.allocUnsafe(5 + body.length)
  found.write(type, 0, 'latin1')
  found.writeInt32BE(4 + body.length, 1)
  found.write(body, 5, 'latin1')
  return found
}

/**
 * All values as text; all are ASCII.
 *
 * @param {string} name
 * @param {string[]} values
 */
function bind(name, values) {
  let length = 1 + 4 + 1 + name.length + 1 + 2 + 2 + 2
  for (const value of values) length += 4 + value.length
  const found = Buffer.allocUnsafe(length)
  let at = found.write('B', 0, 'latin1')
  at = found.writeInt32BE(length - 1, at)
  at = found.writeInt8(0, at)
  at += found.write(name, at, 'latin1')
  at = found.writeInt8(0, at)
  at = found.writeInt16BE(0, at)
  at = found.writeInt16BE(values.length, at)
  for (const value of values) {
    at = found.writeInt32BE(value.length, at)
    at += found.write(value, at, 'latin1')
  }
  found.writeInt16BE(0, at)
  return found
}

/** @param {string} url */
async function open(url) {
  // It logs in; then its stream is used without it.
  const client = new Client(url)
  await client.connect()
  const { stream } = /** @type {any} */ (client).connection
  stream.removeAllListeners('data')
  const messages = new Messages(stream)
  for (const [name, text] of Object.entries(STATEMENTS)) await messages.prepare(name, text)
  let owners = 0
  return {
    calls: {
      get: (/** @type {number} */ key) => messages.execute('get', [`cache:${keyName(key)}`]),
      loadLatest: (/** @type {number} */ key) => messages.execute('loadLatest', [keyName(key)]),
      set: (/** @type {number} */ key) =>
        messages.execute('set', [`cache:${keyName(key)}`, JSON.stringify(VALUE), String(TTL)]),
      recordFailure: (/** @type {number} */ key) =>
        messages.execute('recordFailure', [`circuit:${keyName(key)}`, '1e9']),
      lock: async (/** @type {number} */ key) => {
        const owner = String(owners++)
        await messages.execute('acquire', [`lock:${keyName(key)}`, owner, String(TTL)])
        await messages.execute('release', [`lock:${keyName(key)}`, owner])
      },
    },
    close: () => client.end(),
  }
}

const versions = () => ({ pg: require('pg/package.json').version })

module.exports = { open, versions, operations: unchecked(OPERATIONS) }
