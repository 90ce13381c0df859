// @ts-check
// The pending writes of checkpoints. They are not in the table of checkpoints, where what is saved later replaces what is there:
// of two processes that run the same task, the writes that were stored first must stay. And they are in a table of their own,
// since an application may clear its cache.
//
// The writes of a checkpoint are a log: entries under the numbers 0, 1, 2, …, without gaps. Each is stored once, if there is none
// under its number yet (compare-and-set), and never changed. So all readers see the writes of all processes in one order, in which
// the first regular write under an index stays, and the last one on a special channel. Two processes that append at the same time
// get different numbers. A reader needs no list of keys: it asks for the first few numbers, and for more if all of them exist.
'use strict'

const { keyOf } = require('./place.js')

/**
 * How many entries are read first: most checkpoints have fewer, one for each task. If several checkpoints are read, each key
 * counts, and a second statement serves all of them. Then, how many more at once.
 */
const FIRST = 4
const FIRST_OF_SEVERAL = 2
const MORE = 32

/** For how many checkpoints it is known how many entries they have: those that are being worked on. */
const REMEMBERED = 1_000

/**
 * @typedef {object} Write
 * @property {string} task
 * @property {number} index negative on a special channel, such as that of interrupts
 * @property {string} path of the task
 * @property {string} channel
 * @property {import('./packed.js').Packed} value
 *
 * @typedef {import('./place.js').Place} Place
 *
 * @typedef {object} Line the appends to a log, one after the other
 * @property {Write[]} waiting what the next append stores
 * @property {Promise<void>} last
 */

class WritesLog {
  #entries
  /** @type {Map<string, Line>} by the checkpoints' keys */
  #lines = new Map()
  /** How many entries a log had, or more. @type {Map<string, number>} */
  #lengths = new Map()

  /** @param {import('../../index.js').PostgresCacheAdapter} entries */
  constructor(entries) {
    this.#entries = entries
  }

  /**
   * Appends writes, after those that were given before. Writes that come while an append is under way share the next one.
   *
   * @param {Place} checkpoint
   * @param {Write[]} writes
   * @returns {Promise<void>}
   */
  append(checkpoint, writes) {
    const key = keyOf(checkpoint)
    const line = this.#lines.get(key) ?? { waiting: [], last: Promise.resolve() }
    this.#lines.set(key, line)
    if (line.waiting.length === 0) {
      const store = () => this.#store(key, line)
      line.last = line.last.then(store, store)
    }
    line.waiting.push(...writes)
    return line.last
  }

  /**
   * @param {string} key of the checkpoint
   * @param {Line} line
   */
  async #store(key, line) {
    const { waiting } = line
    line.waiting = []
    try {
      await this.#storeAtEnd(key, waiting)
    } finally {
      if (line.waiting.length === 0) this.#lines.delete(key)
    }
  }

  /**
   * What is known of the length may be outdated: if the thread was deleted meanwhile, the entry before the new one is gone, and no
   * reader would find the new one. Then it is stored once more, at the beginning.
   *
   * @param {string} key of the checkpoint
   * @param {Write[]} writes
   */
  async #storeAtEnd(key, writes) {
    for (let number = this.#lengths.get(key) ?? 0; ; number++) {
      const [isStored, isReached] = await Promise.all([
        this.#entries.compareAndSet(entryKey(key, number), undefined, writes),
        number === 0 || this.#entries.has(entryKey(key, number - 1)),
      ])
      if (isStored && isReached) return this.#remember(key, number + 1)
      if (isReached) continue
      if (isStored) await this.#entries.delete(entryKey(key, number))
      number = -1
    }
  }

  /**
   * The writes of checkpoints, of each in the order in which LangGraph applies them.
   *
   * @param {Place[]} checkpoints
   * @returns {Promise<Write[][]>}
   */
  async read(checkpoints) {
    /** @type {{ key: string, writes: Write[] }[]} */
    const logs = checkpoints.map((checkpoint) => ({ key: keyOf(checkpoint), writes: [] }))
    let open = logs
    for (
      let first = 0, count = logs.length > 1 ? FIRST_OF_SEVERAL : FIRST;
      open.length > 0;
      first += count, count = MORE
    ) {
      const keys = open.flatMap(({ key }) => entryKeys(key, first, count))
      const entries = /** @type {(Write[] | null)[]} */ (await this.#entries.getMany(keys))
      open = open.filter(({ key, writes }, at) => {
        const found = entries.slice(at * count, (at + 1) * count)
        const end = found.indexOf(null)
        for (const entry of end < 0 ? found : found.slice(0, end)) if (entry) writes.push(...entry)
        if (end >= 0 && logs.length === 1) this.#remember(key, first + end)
        return end < 0
      })
    }
    return logs.map(({ writes }) => applied(writes))
  }

  /**
   * Deletes the logs of checkpoints.
   *
   * @param {Place[]} checkpoints
   */
  async remove(checkpoints) {
    let open = checkpoints.map(keyOf)
    for (const key of open) this.#lengths.delete(key)
    for (let first = 0; open.length > 0; first += MORE) {
      const keys = open.flatMap((key) => entryKeys(key, first, MORE))
      const removed = await this.#entries.deleteMany(keys)
      open = open.filter((_, at) => removed[(at + 1) * MORE - 1])
    }
  }

  /**
   * The checkpoints of a thread that have writes, each once for each of its entries or less.
   *
   * @param {string} thread
   * @returns {AsyncGenerator<Place, void, undefined>}
   */
  async *checkpointsOf(thread) {
    let last = ''
    for await (const entry of this.#entries.iterateKeys({ prefix: `[${JSON.stringify(thread)},` })) {
      const key = entry.slice(0, entry.lastIndexOf(']') + 1)
      if (key === last) continue
      last = key
      const [, namespace, id] = JSON.parse(key)
      yield { thread, namespace, id }
    }
  }

  /**
   * @param {string} key
   * @param {number} length
   */
  #remember(key, length) {
    this.#lengths.delete(key)
    this.#lengths.set(key, length)
    const [oldest] = this.#lengths.keys()
    if (this.#lengths.size > REMEMBERED && oldest !== undefined) this.#lengths.delete(oldest)
  }
}

/**
 * @param {string} key of the checkpoint
 * @param {number} number
 */
const entryKey = (key, number) => `${key}${number}`

/**
 * @param {string} key of the checkpoint
 * @param {number} first
 * @param {number} count
 */
const entryKeys = (key, first, count) => Array.from({ length: count }, (_, at) => entryKey(key, first + at))

/**
 * The writes that count, of all that were stored, in the order in which LangGraph applies them.
 *
 * @param {Write[]} stored
 */
function applied(stored) {
  if (stored.length === 0) return stored
  /** @type {Map<string, Write>} */
  const writes = new Map()
  for (const write of stored) {
    const place = JSON.stringify([write.task, write.index])
    if (write.index < 0 || !writes.has(place)) writes.set(place, write)
  }
  return [...writes.values()].sort(
    (one, other) => order(one.path, other.path) || order(one.task, other.task) || one.index - other.index,
  )
}

/**
 * By code points, which is the order of the bytes.
 *
 * @param {string} one
 * @param {string} other
 */
const order = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))

module.exports = { WritesLog }
