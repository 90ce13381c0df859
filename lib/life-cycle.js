// @ts-check
'use strict'

const { settled } = require('./bridge.js')
const { itself, keepItself } = require('./itself.js')
const { servedBy } = require('./tracing.js')

/** What all adapters have in common; see index.d.ts for what each method promises. */
class LifeCycle {
  #connection

  /** @param {import('./adapter-connection.js').AdapterConnection} connection */
  constructor(connection) {
    this.#connection = connection
    keepItself(this)
    servedBy(this, connection)
  }

  async ping() {
    settled(await this.#connection.send((slot) => this.#connection.native.ping(slot)))
  }

  async close() {
    await this.#connection.close()
  }

  async disconnect() {
    await this.#connection.end()
  }

  /** Of all adapters that share the connection. */
  metrics() {
    return itself(this).#connection.metrics()
  }
}

// The first releases of Node 20 do not have the symbol.
if (Symbol.asyncDispose) {
  Object.defineProperty(LifeCycle.prototype, Symbol.asyncDispose, {
    /** @this {LifeCycle} */
    async value() {
      await this.close()
    },
    configurable: true,
    writable: true,
  })
}

module.exports = { LifeCycle }
