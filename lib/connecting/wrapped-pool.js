// @ts-check
// Replaces a pool that the application has wrapped by hand, or a single client of pg's: neither has the class of the
// clients, from which a `pg.Pool`'s configuration is resolved. How to connect is read from the wrapper's `options` if
// these name a server, from the client, or from a client that the wrapper's `connect()` lends. Neither is queried;
// `end()` is called.
'use strict'

const { invalid } = require('../arguments.js')
const { OwnPool } = require('./own-pool.js')

class WrappedPool extends OwnPool {
  /** @type {any} */
  #client
  #isOutdated = false
  /** @type {Promise<void> | undefined} */
  #reading

  /** @param {any} given */
  constructor(given) {
    super(optionsOf(given))
    this.given = given
    this.isOurs = SERVER.some((name) => given.options?.[name] != null)
    if (isClient(given)) this.#client = given
  }

  /**
   * The `end` of a frozen wrapper cannot be replaced, so a call of it goes unnoticed. The wrapper may report that it
   * is ended, as a `pg.Pool` does.
   *
   * @override
   */
  get ending() {
    return super.ending || this.given.ending === true || this.given.ended === true
  }

  /** @override */
  set ending(isEnding) {
    super.ending = isEnding
  }

  /** For its errors. */
  get Client() {
    return this.#client?.constructor
  }

  /** The client whose configuration is used to connect. */
  get client() {
    if (this.#client) return this.#client
    throw new Error('the pool has not been asked for a client yet')
  }

  /**
   * The server has refused the password. A lent client keeps the password that a password function gave it. So the
   * next connection is described by a newly lent client. Not every connection borrows one: the application may be
   * waiting for us while it holds all of its clients.
   */
  passwordWasRefused() {
    this.#isOutdated = this.#client !== this.given
  }

  /** Reads how to connect, once. An attempt that fails is repeated by the next connection. */
  async prepare() {
    if (this.isOurs || (this.#client && !this.#isOutdated)) return
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
    await this.#reading
  }

  async #read() {
    const lent = await this.given.connect()
    try {
      if (!isClient(lent)) throw invalid('pool', NO_CLIENT, lent)
      this.#client = lent
      this.#isOutdated = false
    } finally {
      lent?.release?.()
    }
  }

  async end() {
    await super.end()
    await this.given.end()
  }
}

const NO_CLIENT =
  'must have the configuration of pg in its `options`: its connect() gives no client of pg that could be read in their place'

/**
 * The options of the pool itself. A client keeps the options that it was made with in these places.
 *
 * @param {any} given
 */
function optionsOf(given) {
  // `password` may be hidden from enumeration.
  if (hasOptions(given)) return { ...given.options, password: given.options.password }
  if (!isClient(given)) return {}
  const { connection, _connectionTimeoutMillis: connectionTimeoutMillis } = given
  const stream = connection?.stream
  return {
    connectionTimeoutMillis,
    keepAlive: connection?._keepAlive,
    keepAliveInitialDelayMillis: connection?._keepAliveInitialDelayMillis,
    // A socket of another kind comes from the application's own `stream`, which is refused by name.
    ...(stream && !/^(TLS)?Socket$/.test(stream.constructor?.name) && { stream }),
  }
}

/**
 * Options that lead to a server. Without one of them a wrapper's `options` are settings of the pool, or something
 * else.
 */
const SERVER = ['connectionString', 'host', 'port', 'user', 'database']

const hasOptions = (/** @type {any} */ given) => typeof given.options === 'object' && given.options !== null

const isClient = (/** @type {any} */ given) => typeof given?.connectionParameters === 'object'

/** Whether it is such a pool or client. */
const isWrapped = (/** @type {any} */ given) =>
  typeof given === 'object' && ['connect', 'query', 'end'].every((name) => typeof given[name] === 'function')

/** @type {WeakMap<object, WrappedPool>} */
const known = new WeakMap()

/**
 * The instance for a wrapper or client, so that adapters on it share their connections.
 *
 * @param {object} given
 */
function wrappedPool(given) {
  const pool = known.get(given) ?? new WrappedPool(given)
  known.set(given, pool)
  return pool
}

module.exports = { isWrapped, wrappedPool }
