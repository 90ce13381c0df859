// @ts-check
// One connection through the proxy. It forwards the data, counts its messages, and breaks where the test says.
'use strict'

/**
 * A fault of one request, or of its answer.
 *
 * @typedef {object} Fault
 * @property {'request' | 'answer'} in an answer is struck when the server has sent all of it, and so has committed
 * @property {'reset' | 'end' | 'silence' | 'delay' | 'trickle' | 'hold'} how `reset` and `end` close the connection in two
 *   ways, `silence` leaves it open and forwards no more, `delay` and `trickle` forward everything eventually, `hold`
 *   resets the client's side and keeps the request for {@link Strike.deliver}
 * @property {number} [after] how many bytes are forwarded first; if negative, all but so many
 * @property {number} [ms] of the delay, or between the bytes of a trickle; without it they are still sent one by one
 * @property {Buffer} [farewell] what the client receives instead of the answer
 * @property {() => void} [atOnce] called in the same moment, before the caller can retry
 */

/** The result of a fault: how long request and answer were, and where the answer's messages began. */
class Strike {
  request = 0
  answer = 0
  /** @type {number[]} */
  boundaries = []
  /**
   * Delivers a held request to the server, if that still listens, and waits until it can have been executed.
   *
   * @type {() => Promise<void>}
   */
  deliver = async () => {
    throw new Error('nothing is held')
  }

  /** @param {Fault} fault */
  constructor(fault) {
    this.fault = fault
    /** @type {() => void} */
    this.done = () => {}
    /** When the damage has been done. */
    this.struck = new Promise((resolve) => (this.done = () => resolve(undefined)))
  }
}

/** Reads messages from chunks. Each has a type and a length; the client's first message has no type. */
class MessageReader {
  /** @type {Buffer} */
  #buffer = Buffer.alloc(0)
  #isStarted
  /** How many bytes of the stream have been read as complete messages. */
  position = 0

  /** @param {boolean} isStarted */
  constructor(isStarted) {
    this.#isStarted = isStarted
  }

  /**
   * @param {Buffer} data
   * @returns {{ type: string, body: Buffer, at: number }[]} the messages that this completes
   */
  read(data) {
    const messages = []
    this.#buffer = this.#buffer.length > 0 ? Buffer.concat([this.#buffer, data]) : data
    for (;;) {
      const head = this.#isStarted ? 1 : 0
      if (this.#buffer.length < head + 4) return messages
      const end = head + this.#buffer.readInt32BE(head)
      if (this.#buffer.length < end) return messages
      const type = this.#isStarted ? String.fromCharCode(this.#buffer[0]) : ''
      messages.push({ type, body: this.#buffer.subarray(head + 4, end), at: this.position })
      this.#buffer = this.#buffer.subarray(end)
      this.position += end
      this.#isStarted = true
    }
  }
}

class ProxiedConnection {
  #fromClient = new MessageReader(false)
  #fromServer = new MessageReader(true)
  /** @type {{ strike: Strike, chunks: Buffer[], from: number, requests: number } | undefined} */
  #answer
  /** @type {{ to: 'client' | 'server', bytes: number, how: 'reset' | 'end' | 'silence' | 'hold', ms: number } | undefined} */
  #allowance
  isSilent = false
  /** The server's side outlives the client's. */
  #isHeld = false

  /**
   * @param {import('node:net').Socket} client
   * @param {import('node:net').Socket} server
   * @param {{ seen: (type: string, body: Buffer) => Strike | undefined, gone: (it: ProxiedConnection) => void }} owner
   */
  constructor(client, server, owner) {
    this.client = client
    this.server = server
    this.owner = owner
    // Otherwise the kernel would merge the bytes of a trickle.
    client.setNoDelay(true)
    client.on('data', (data) => this.#request(data))
    server.on('data', (data) => this.#answered(data))
    for (const socket of [client, server]) {
      const lost = () => !this.#isHeld && this.close()
      socket.on('close', lost).on('error', lost)
    }
  }

  /** @param {Buffer} data */
  #request(data) {
    /** @type {Strike | undefined} */
    let strike
    let requests = 0
    for (const { type, body } of this.#fromClient.read(data)) {
      strike ??= type ? this.owner.seen(type, body) : undefined
      if (type === 'Q' || type === 'S') requests++
    }
    if (!strike) return this.#pass('server', data)
    strike.request = data.length
    if (strike.fault.in === 'request') return this.#harm('server', data, strike)
    this.#answer = { strike, chunks: [], from: this.#fromServer.position, requests }
    this.#pass('server', data)
  }

  /** @param {Buffer} data */
  #answered(data) {
    const messages = this.#fromServer.read(data)
    if (!this.#answer) return this.#pass('client', data)
    const { strike, chunks, from } = this.#answer
    chunks.push(data)
    strike.boundaries.push(...messages.map(({ at }) => at - from))
    // Messages that were sent together are answered together. A FATAL error is the last message of a server.
    this.#answer.requests -= messages.filter(({ type }) => type === 'Z').length
    const isWhole = messages.some(({ type, body }) => type === 'E' && body.includes('VFATAL'))
    if (!isWhole && this.#answer.requests > 0) return
    this.#answer = undefined
    const whole = Buffer.concat(chunks)
    strike.answer = whole.length
    this.#harm('client', whole, strike)
  }

  /**
   * @param {'client' | 'server'} to
   * @param {Buffer} data
   */
  #pass(to, data) {
    if (this.isSilent) return
    const allowance = this.#allowance
    if (!allowance || allowance.to !== to) return this[to].write(data)
    if (data.length < allowance.bytes) {
      allowance.bytes -= data.length
      return this[to].write(data)
    }
    this[to].write(data.subarray(0, allowance.bytes))
    if (allowance.how !== 'hold') return this.cut(allowance.how)
    const deliver = this.#hold(data.subarray(allowance.bytes))
    setTimeout(deliver, allowance.ms).unref()
  }

  /**
   * @param {'client' | 'server'} to
   * @param {Buffer} data
   * @param {Strike} strike
   */
  #harm(to, data, strike) {
    const { how, after = 0, ms = 0, farewell, atOnce } = strike.fault
    if (how === 'hold') {
      strike.deliver = this.#hold(data)
    } else if (how === 'delay') {
      setTimeout(() => this.#pass(to, data), ms)
    } else if (how === 'trickle') {
      this.#trickle(to, data, ms, 0)
    } else if (farewell) {
      this.client.end(farewell)
    } else {
      if (after !== 0) this[to].write(data.subarray(0, after))
      this.cut(how)
    }
    atOnce?.()
    strike.done()
  }

  /**
   * The network keeps the bytes for the server, and the client sees a broken connection.
   *
   * @param {Buffer} data
   * @returns {() => Promise<void>} delivers them, if the server still listens, and waits until it has processed them
   */
  #hold(data) {
    this.#isHeld = true
    this.client.resetAndDestroy()
    return async () => {
      if (!this.server.destroyed) this.server.end(data)
      if (!this.server.closed) await new Promise((resolve) => this.server.once('close', resolve))
      this.close()
    }
  }

  /**
   * @param {'client' | 'server'} to
   * @param {Buffer} data
   * @param {number} ms
   * @param {number} at
   */
  #trickle(to, data, ms, at) {
    if (at >= data.length || this[to].destroyed) return
    this.#pass(to, data.subarray(at, at + 1))
    const next = () => this.#trickle(to, data, ms, at + 1)
    if (ms > 0) setTimeout(next, ms)
    else setImmediate(next)
  }

  /**
   * Breaks when so many more bytes have been sent in that direction.
   *
   * @param {'client' | 'server'} to
   * @param {number} bytes
   * @param {'reset' | 'end' | 'silence' | 'hold'} how
   * @param {number} [ms] after which the server receives the held bytes
   */
  cutAfter(to, bytes, how, ms = 0) {
    this.#allowance = { to, bytes, how, ms }
  }

  /** @param {'reset' | 'end' | 'silence'} how */
  cut(how = 'reset') {
    if (how === 'silence') {
      this.isSilent = true
      return
    }
    if (how === 'end') {
      this.owner.gone(this)
      this.client.end(() => this.close())
      return
    }
    // A socket that is already ending must not be reset: Node 20 then never closes its handle, and spins at exit.
    if (this.client.writable && !this.client.readableEnded) this.client.resetAndDestroy()
    this.close()
  }

  close() {
    this.owner.gone(this)
    this.client.destroy()
    this.server.destroy()
  }
}

module.exports = { ProxiedConnection, Strike }
