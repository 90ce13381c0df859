// A cache handler for Next.js 16. All instances share what one of them has rendered, and which tags one has revalidated.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { PostgresCacheAdapter } from 'goscope-postgres'
import pg from 'pg'

const YEAR_MS = 365 * 24 * 60 * 60 * 1_000
/** A build needs no database. The first visitor makes an instance render. */
const isBuild = process.env.NEXT_PHASE === 'phase-production-build'

// Without a database for so long, a request is rendered.
const TIMEOUT_MS = 2_000
const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  connectionTimeoutMillis: TIMEOUT_MS,
  query_timeout: TIMEOUT_MS,
})
// An idle connection that breaks would end the process.
pool.on('error', (error) => console.warn('The connection of the cache broke:', error.message))
const cache = new PostgresCacheAdapter(pool, { tableName: 'next_cache' })

/** The key of how many revalidations there have been. Each has its number, and so has its tags. */
const REVALIDATIONS = 'revalidations'
const tagKey = (tag) => `tag:${tag}`
/** The number of an instance whose database is away. */
const UNKNOWN = -1

/** Next.js makes one for each request. */
export default class PostgresCacheHandler {
  #buildFile
  /** The number of revalidations before anything was rendered for this request. */
  #revalidations

  constructor({ serverDistDir }) {
    this.#buildFile = path.join(serverDistDir, '../BUILD_ID')
  }

  async get(key, context) {
    if (isBuild || this.#revalidations === UNKNOWN) return null
    try {
      return await this.#find(key, context)
    } catch (error) {
      console.warn('The cache was not read:', error.message)
      this.#revalidations = UNKNOWN
      return null
    }
  }

  async #find(key, { tags = [], softTags = [], revalidate }) {
    const [stored, isFresh, revalidations] = await cache.getMany([...this.#keysOf(key), REVALIDATIONS])
    this.#revalidations ??= revalidations ?? 0
    if (!stored) return null
    const entry = deserialize(Buffer.from(stored, 'base64'))
    const numbers = await cache.getMany([...new Set([...entry.tags, ...tags, ...softTags])].map(tagKey))
    if (numbers.some((number) => number > entry.revalidations)) return null
    // Next.js compares with a clock of its own, but the server has decided whether the entry is fresh.
    const age = isFresh ? 0 : (revalidate || entry.seconds) * 1_000 + 1
    const lastModified = performance.timeOrigin + performance.now() - age
    return { value: entry.value, cacheControl: entry.cacheControl, lastModified }
  }

  async set(key, value, { tags, cacheControl }) {
    // What was rendered from older data than a revalidation must not be taken for newer.
    const revalidations = this.#revalidations ?? UNKNOWN
    if (isBuild || revalidations === UNKNOWN) return
    const seconds = cacheControl?.revalidate ?? value?.revalidate ?? 1
    const entry = { value, tags: tags ?? tagsOf(value), cacheControl, seconds, revalidations }
    const lifetime = Math.min((cacheControl?.expire ?? Infinity) * 1_000, YEAR_MS)
    const freshFor = seconds === false ? lifetime : Math.min(seconds * 1_000, lifetime)
    const [entryKey, freshKey] = this.#keysOf(key)
    // Unlike JSON, this keeps Buffers, Maps and U+0000.
    const stored = serialize(entry).toString('base64')
    // In this order: an older entry must not become fresh.
    await cache.set(entryKey, stored, lifetime)
    await cache.set(freshKey, true, freshFor)
  }

  /**
   * Entries with these tags are not served any more, also if a profile would allow it for a while.
   *
   * In one transaction: a request that reads the number also reads the tags. The number's row is locked until the commit, so the
   * number of a tag only grows.
   */
  async revalidateTag(tags) {
    await cache.initialize()
    const client = await pool.connect()
    let failure
    try {
      await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
      const within = cache.within(client)
      const number = await within.increment(REVALIDATIONS)
      // Longer than any entry that is older.
      await within.setMany([tags].flat().map((tag) => [tagKey(tag), number, 2 * YEAR_MS]))
      await client.query('COMMIT')
    } catch (error) {
      failure = error
      throw error
    } finally {
      // With an error, the connection is closed, which ends the transaction.
      client.release(failure)
    }
  }

  resetRequestCache() {
    this.#revalidations = undefined
  }

  /** The keys of an entry and of its freshness. Pages of one build name files that another does not have. */
  #keysOf(key) {
    const build = readBuild(this.#buildFile)
    return [`entry:${build}:${key}`, `fresh:${build}:${key}`]
  }
}

/** @type {string | undefined} */
let build
// With the comment, Next.js does not take the whole folder for something to deploy.
const readBuild = (file) => (build ??= readFileSync(/* turbopackIgnore: true */ file, 'utf8'))

/** Of a page or a route. */
const tagsOf = (value) => value?.headers?.['x-next-cache-tags']?.split(',') ?? []
