// @ts-check
// A TCP proxy on loopback that looks at what the client sends, and does harm on command: cuts connections, with or
// without letting the server's answer through.
'use strict'

const net = require('node:net')
const { after } = require('node:test')

/**
 * A proxy that stops with the test, or with the file, that starts it.
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

/** @typedef {{ text: string, farewell?: Buffer, atOnce: () => void }} Loss */

class FaultProxy {
  /** Where to connect instead of the server. */
  url = ''
  /** The types of the protocol messages that clients have sent, such as `B` for Bind; the start-up is left out. */
  messages = ''
  /** The texts of the statements in their Parse messages. */
  /** @type {string[]} */
  statements = []
  connections = 0
  /** @type {Set<{ client: net.Socket, upstream: net.Socket }>} */
  #pairs = new Set()
  /** @type {Loss | undefined} */
  #loss
  #refusing = false
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
      const upstream = net.connect(target)
      const pair = { client, upstream }
      this.#pairs.add(pair)
      /** @type {Loss | undefined} */
      let loss
      const read = this.#reader((body) => {
        if (!this.#loss || !body.includes(this.#loss.text)) return
        loss = this.#loss
        this.#loss = undefined
      })
      client.on('data', (data) => {
        read(data)
        upstream.write(data)
      })
      upstream.on('data', (data) => {
        if (!loss) return client.write(data)
        // The server has answered, so it has committed; the caller is not to know.
        if (loss.farewell) client.end(loss.farewell)
        else this.#cut(pair)
        loss.atOnce()
      })
      for (const socket of [client, upstream]) {
        socket.on('close', () => this.#end(pair)).on('error', () => this.#end(pair))
      }
      client.resume()
    })
  }

  /**
   * Reads the messages of one connection: an untyped start-up message, then a type and a length each.
   *
   * @param {(body: Buffer) => void} look
   */
  #reader(look) {
    let buffer = Buffer.alloc(0)
    let started = false
    return (/** @type {Buffer} */ data) => {
      buffer = Buffer.concat([buffer, data])
      for (;;) {
        const head = started ? 1 : 0
        if (buffer.length < head + 4) return
        const end = head + buffer.readInt32BE(head)
        if (buffer.length < end) return
        if (started) {
          this.#note(String.fromCharCode(buffer[0]), buffer.subarray(5, end))
          look(buffer.subarray(5, end))
        }
        buffer = buffer.subarray(end)
        started = true
      }
    }
  }

  /**
   * @param {string} type
   * @param {Buffer} body
   */
  #note(type, body) {
    this.messages += type
    if (type === 'P') this.statements.push(body.toString('latin1').split('\0')[1] ?? '')
  }

  /** Forgets what was seen so far. */
  reset() {
    this.messages = ''
    this.statements = []
  }

  /**
   * Cuts the next connection on which a matching request is sent, after the server has answered and before the caller
   * hears it.
   *
   * @param {string} text part of the request
   * @param {{ farewell?: Buffer, atOnce?: () => void }} [options] `farewell`: what the caller hears instead; `atOnce`: done
   *   in the same moment, before the caller can try again
   */
  loseNextAnswerTo(text, { farewell, atOnce = () => {} } = {}) {
    this.#loss = { text, farewell, atOnce }
  }

  /** Cuts every connection now. */
  cutAll() {
    for (const pair of this.#pairs) this.#cut(pair)
  }

  /** Refuses new connections until told otherwise. */
  refuse(refusing = true) {
    this.#refusing = refusing
  }

  /** Lets new connections wait until told otherwise. */
  holdBack() {
    this.#gate = new Promise((resolve) => (this.#openGate = resolve))
  }

  letIn() {
    this.#gate = undefined
    this.#openGate()
  }

  /** @param {{ client: net.Socket, upstream: net.Socket }} pair */
  #end(pair) {
    this.#pairs.delete(pair)
    pair.client.destroy()
    pair.upstream.destroy()
  }

  /** @param {{ client: net.Socket, upstream: net.Socket }} pair */
  #cut(pair) {
    // A socket that is already ending must not be reset: Node 20 then never closes its handle, and spins at exit.
    if (pair.client.writable && !pair.client.readableEnded) pair.client.resetAndDestroy()
    this.#end(pair)
  }

  async stop() {
    this.refuse()
    this.letIn()
    this.cutAll()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

module.exports = { startProxy }
