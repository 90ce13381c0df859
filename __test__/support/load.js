// @ts-check
// Work of every kind on one client. It continues whatever happens, and records each outcome, so that the loss of an
// acknowledged write is always noticed.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { adaptersOn, connectAll } = require('./operations.js')
const { inTime } = require('./waiting.js')

/** @typedef {import('./figures.js').Figures} Figures */
/** @typedef {import('./operations.js').Adapters} Adapters */

/** How many workers of each kind run at once. */
const EACH = 3
const TTL_MS = 60_000
const PAUSE_MS = 5
let runs = 0

class Load {
  #stopping = false
  #name = `load${runs++}`
  /** @type {Promise<void>[]} */
  #loops = []
  /** What was acknowledged, and what was tried, by key. */
  #counts = /** @type {Map<string, { acknowledged: number, tried: number }>} */ (new Map())
  #values = /** @type {Map<string, { acknowledged: number, tried: number }>} */ (new Map())
  #saved = /** @type {Set<string>} */ (new Set())
  #results = /** @type {Set<string>} */ (new Set())
  /** Set if the rows are removed by the test, so that only the errors are checked. */
  forgets = false
  /** When the last write was acknowledged. */
  lastSuccess = 0

  /**
   * @param {import('pg').Pool} pool
   * @param {Figures} figures
   * @param {{ fails: (error: any, what: string) => boolean }} rules which errors may be reported, by which operation
   */
  constructor(pool, figures, rules) {
    this.on = adaptersOn(pool)
    this.figures = figures
    this.rules = rules
  }

  /** Starts. Returns when each kind of work has been done once. */
  async start() {
    await connectAll(this.on)
    await this.on.main.set(`${this.#name}:fixed`, { fixed: true })
    const kinds = [this.#count, this.#store, this.#save, this.#remember, this.#lock, this.#read]
    const firsts = kinds.flatMap((kind) => Array.from({ length: EACH }, (_, n) => this.#loop(kind.bind(this), n)))
    await inTime('the first of each kind of work', Promise.all(firsts))
  }

  /**
   * @param {(key: string, turn: number) => Promise<void>} work
   * @param {number} n
   */
  async #loop(work, n) {
    const key = `${this.#name}:${work.name.replace(/^bound #?/, '')}:${n}`
    await work(key, 0)
    const rest = async () => {
      for (let turn = 1; !this.#stopping; turn++) {
        await work(key, turn)
        await sleep(PAUSE_MS)
      }
    }
    this.#loops.push(rest())
  }

  /**
   * @template T
   * @param {string} what
   * @param {() => Promise<T>} call
   * @returns {Promise<{ result: T } | undefined>}
   */
  async #do(what, call) {
    this.figures.operations++
    try {
      const result = await call()
      this.lastSuccess = performance.now()
      return { result }
    } catch (error) {
      this.figures.error(error, what)
      if (!this.rules.fails(error, what)) this.figures.violation(`${what} failed: ${/** @type {any} */ (error).stack}`)
      return undefined
    }
  }

  /** @param {string} key */
  async #count(key) {
    const count = this.#counts.get(key) ?? { acknowledged: 0, tried: 0 }
    this.#counts.set(key, count)
    count.tried++
    const done = await this.#do('recordFailure', () => this.on.main.recordFailure(key, 1e9))
    if (!done) return
    if (this.forgets) return
    if (done.result <= count.acknowledged || done.result > count.tried) {
      this.figures.violation(`recordFailure: ${done.result} after ${count.acknowledged}, the ${count.tried}th try`)
    }
    count.acknowledged = done.result
  }

  /**
   * @param {string} key
   * @param {number} turn
   */
  async #store(key, turn) {
    const value = this.#values.get(key) ?? { acknowledged: -1, tried: -1 }
    this.#values.set(key, value)
    value.tried = turn
    if (await this.#do('set', () => this.on.main.set(key, turn))) value.acknowledged = turn
    const found = await this.#do('get', () => /** @type {Promise<number | null>} */ (this.on.main.get(key)))
    if (found && !this.forgets && ((found.result ?? -1) < value.acknowledged || (found.result ?? -1) > turn)) {
      this.figures.violation(`get: ${found.result}, where ${value.acknowledged} was acknowledged`)
    }
  }

  /**
   * @param {string} key
   * @param {number} turn
   */
  async #save(key, turn) {
    const id = `${key}.${turn}`
    const checkpoint = { id, taskId: key, sequence: turn, timestamp: turn, progress: turn, data: turn }
    if (await this.#do('save', () => this.on.main.save(checkpoint))) this.#saved.add(id)
  }

  /**
   * @param {string} key
   * @param {number} turn
   */
  async #remember(key, turn) {
    const name = `${key}.${turn}`
    if (await this.#do('idempotency set', () => this.on.results.set(name, turn))) this.#results.add(name)
  }

  /** @param {string} key */
  async #lock(key) {
    const taken = await this.#do('acquire', () => this.on.main.acquire(key, TTL_MS, key))
    if (!taken) return
    if (!taken.result) return this.figures.violation(`acquire: ${key} is held by no other owner, and was refused`)
    const { extend, release } = taken.result
    for (let n = 0; n < 3; n++) {
      const extended = await this.#do('extend', () => extend(TTL_MS))
      if (extended && !extended.result && !this.forgets) this.figures.violation(`extend: ${key} was lost`)
    }
    await this.#do('release', () => release())
  }

  async #read() {
    const key = `${this.#name}:fixed`
    const found = await this.#do('get', () => this.on.main.get(key))
    if (found && !this.forgets && JSON.stringify(found.result) !== '{"fixed":true}') {
      this.figures.violation(`get: ${JSON.stringify(found.result)}`)
    }
  }

  /** Lets every call finish. */
  async stop() {
    this.#stopping = true
    await inTime('the end of the work', Promise.all(this.#loops))
  }

  /**
   * Whether all acknowledged writes are there, and none is there twice.
   *
   * @param {Adapters} on
   */
  async verify(on) {
    const lost = (/** @type {string} */ what) => this.figures.violation(`acknowledged, and lost: ${what}`)
    for (const [key, { acknowledged, tried }] of this.#counts) {
      const count = (await on.main.getState(key))?.failureCount ?? 0
      if (count < acknowledged || count > tried)
        lost(`${key} counts ${count}, not between ${acknowledged} and ${tried}`)
    }
    for (const [key, { acknowledged, tried }] of this.#values) {
      const value = /** @type {number} */ ((await on.main.get(key)) ?? -1)
      if (value < acknowledged || value > tried) lost(`${key} is ${value}, not between ${acknowledged} and ${tried}`)
    }
    const saved = await Promise.all([...this.#saved].map(async (id) => (await on.main.load(id)) !== undefined))
    const results = await Promise.all([...this.#results].map(async (name) => (await on.results.get(name)) !== null))
    for (const kept of [saved, results]) if (kept.includes(false)) lost(`${kept.filter((is) => !is).length} rows`)
    return this.#saved.size + this.#results.size + this.#values.size + this.#counts.size
  }
}

module.exports = { Load }
