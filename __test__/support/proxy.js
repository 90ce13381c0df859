// @ts-check
// A TCP proxy on loopback that inspects the client's messages, and does damage on command: it cuts, delays and silences
// connections, at any byte of a request or of its answer.
'use strict'

const net = require('node:net')
const { after } = require('node:test')
const { ProxiedConnection, Strike } = require('./proxied-connection.js')

/** @typedef {import('./proxied-connection.js').Fault} Fault */

/**
 * A proxy that stops with the test, or with the test file, that starts it.
 *
 * @param {string} serverUrl
 * @returns {Promise<FaultProxy>}
 */
async function startProxy(serverUrl) {
  const target = new URL(serverUrl)
  const proxy = new FaultProxy({ host: target.hostname, port: Number(target.port || 5432) })
  after(() => proxy.stop())
  await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {net.AddressInfo} */ (proxy.server.address())
  target.hostname = '127.0.0.1'
  target.port = String(port)
  proxy.url = target.href
  return proxy
}

class FaultProxy {
  /** Where to connect instead of the server. */
  url = ''
  /** The types of the protocol messages that clients have sent, such as `B` for Bind, without the start-up. */
  messages = ''
  /** The texts of the statements in their Parse messages. */
  /** @type {string[]} */
  statements = []
  connections = 0
  /** @type {Set<ProxiedConnection>} */
  #open = new Set()
  /** @type {{ text: string, strike: Strike } | undefined} */
  #next
  #refusing = false
  #swallowing = false
  /** @type {Promise<void> | undefined} */
  #gate
  #openGate = () => {}

  /** @param {{ host: string, port: number }} target */
  constructor(target) {
    this.server = net.createServer({ pauseOnConnect: true }, async (client) => {
      client.on('error', () => client.destroy())
      this.connections++
      if (this.#refusing) return client.resetAndDestroy()
      await this.#gate
      if (this.#refusing || client.destroyed) return client.destroy()
      const connection = new ProxiedConnection(client, net.connect(target), {
        seen: (type, body) => this.#seen(type, body),
        gone: (it) => this.#open.delete(it),
      })
      connection.isSilent = this.#swallowing
      this.#open.add(connection)
      client.resume()
    })
  }

  /**
   * @param {string} type
   * @param {Buffer} body
   */
  #seen(type, body) {
    this.messages += type
    if (type === 'P') this.statements.push(body.toString('latin1').split('\0')[1] ?? '')
    if (!this.#next || !body.includes(this.#next.text)) return undefined
    const { strike } = this.#next
    this.#next = undefined
    return strike
  }

  /** How many connections are open now. */
  get open() {
    return this.#open.size
  }

  /** Forgets the messages seen so far. */
  reset() {
    this.messages = ''
    this.statements = []
  }

  /**
   * Applies a fault to the next request that contains a text, or to its answer.
   *
   * @param {string} text
   * @param {Fault} fault
   */
  strikeNext(text, fault) {
    const strike = new Strike(fault)
    this.#next = { text, strike }
    return strike
  }

  /**
   * Cuts the next connection on which a matching request is sent, after the server has answered and before the caller
   * receives the answer.
   *
   * @param {string} text part of the request
   * @param {{ farewell?: Buffer, atOnce?: () => void }} [options] of a {@link Fault}
   */
  loseNextAnswerTo(text, options) {
    this.strikeNext(text, { in: 'answer', how: 'reset', ...options })
  }

  /**
   * Breaks one of the connections when so many more bytes have been sent in one direction.
   *
   * @param {number} which from 0 (inclusive) to 1 (exclusive)
   * @param {'client' | 'server'} to
   * @param {number} bytes
   * @param {'reset' | 'end' | 'silence' | 'hold'} how
   * @param {number} [ms] after which the server receives the held bytes
   * @returns {boolean} whether there was a connection
   */
  cutOneAfter(which, to, bytes, how, ms) {
    const sound = [...this.#open].filter((connection) => !connection.isSilent)
    const one = sound[Math.floor(which * sound.length)]
    one?.cutAfter(to, bytes, how, ms)
    return one !== undefined
  }

  /** Cuts every connection now. */
  cutAll() {
    for (const connection of this.#open) connection.cut()
  }

  /** Forwards nothing any more, of old connections or new, and closes none, until `stopSwallowing()`. */
  swallow() {
    this.#swallowing = true
    for (const connection of this.#open) connection.isSilent = true
  }

  /** Forwards new connections again. The old ones stay silent, as after a router has forgotten them. */
  stopSwallowing() {
    this.#swallowing = false
  }

  /** Refuses new connections until `refuse(false)`. */
  refuse(refusing = true) {
    this.#refusing = refusing
  }

  /** Lets new connections wait until `letIn()`. */
  holdBack() {
    this.#gate = new Promise((resolve) => (this.#openGate = resolve))
  }

  letIn() {
    this.#gate = undefined
    this.#openGate()
  }

  async stop() {
    this.refuse()
    this.letIn()
    this.cutAll()
    for (const connection of this.#open) connection.close()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

module.exports = { startProxy }
