// @ts-check
'use strict'

const { expiryAfter } = require('./expiry.js')

const LIVE = '(expires_at IS NULL OR expires_at > CURRENT_TIMESTAMP)'

/** Fault: the table's name is put into the statements as it is given, so it is SQL. */
class PostgresCacheAdapter {
  #pool
  #table
  #keyPrefix

  /**
   * @param {import('pg').Pool} pool
   * @param {{ tableName?: string, keyPrefix?: string }} [options]
   */
  constructor(pool, options = {}) {
    this.#pool = pool
    this.#table = options.tableName ?? 'cache'
    this.#keyPrefix = options.keyPrefix ?? ''
  }

  /** Faults: keys longer than 512 characters do not fit; a name with a schema makes the index's name invalid. */
  async initialize() {
    await this.#pool.query(`CREATE TABLE IF NOT EXISTS ${this.#table} (
      key VARCHAR(512) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP,
      created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`)
    await this.#pool.query(
      `CREATE INDEX IF NOT EXISTS idx_${this.#table}_expires ON ${this.#table} (expires_at)
        WHERE expires_at IS NOT NULL`,
    )
  }

  /**
   * Fault: every hit costs a second round trip and a write.
   *
   * @param {any} name
   */
  async get(name) {
    const key = this.#stored(name)
    const { rows } = await this.#pool.query(`SELECT value FROM ${this.#table} WHERE key = $1 AND ${LIVE}`, [key])
    if (rows.length === 0) return null
    await this.#pool.query(`UPDATE ${this.#table} SET accessed_at = CURRENT_TIMESTAMP WHERE key = $1`, [key])
    return rows[0].value
  }

  /**
   * @param {any} name
   * @param {any} value
   * @param {any} [ttl]
   */
  async set(name, value, ttl) {
    await this.#pool.query(
      `INSERT INTO ${this.#table} (key, value, expires_at) VALUES ($1, $2, $3)
       ON CONFLICT (key) DO UPDATE
         SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at, accessed_at = CURRENT_TIMESTAMP`,
      [this.#stored(name), JSON.stringify(value), expiryAfter(ttl)],
    )
  }

  /** @param {any} name */
  async delete(name) {
    await this.#pool.query(`DELETE FROM ${this.#table} WHERE key = $1`, [this.#stored(name)])
  }

  /** @param {any} name */
  async has(name) {
    const look = `SELECT 1 FROM ${this.#table} WHERE key = $1 AND ${LIVE}`
    const { rows } = await this.#pool.query(look, [this.#stored(name)])
    return rows.length > 0
  }

  /** Fault: the prefix is part of a pattern. */
  async clear() {
    if (!this.#keyPrefix) await this.#pool.query(`DELETE FROM ${this.#table}`)
    else await this.#pool.query(`DELETE FROM ${this.#table} WHERE key LIKE $1`, [`${this.#keyPrefix}%`])
  }

  /**
   * Fault: `*` becomes a wildcard, and prefix and pattern keep those of LIKE.
   *
   * @param {any} [pattern]
   * @returns {Promise<string[]>}
   */
  async keys(pattern) {
    const wanted = pattern ? pattern.replaceAll('*', '%') : ''
    const like = this.#keyPrefix ? this.#keyPrefix + (wanted || '%') : wanted
    const { rows } = like
      ? await this.#pool.query(`SELECT key FROM ${this.#table} WHERE key LIKE $1 AND ${LIVE}`, [like])
      : await this.#pool.query(`SELECT key FROM ${this.#table} WHERE ${LIVE}`)
    const stored = rows.map(({ key }) => key)
    if (!this.#keyPrefix) return stored
    return stored.map((key) => (key.startsWith(this.#keyPrefix) ? key.slice(this.#keyPrefix.length) : key))
  }

  /** Faults: hits and misses are not counted, and the size is that of the whole table. */
  async stats() {
    const { rows } = await this.#pool.query(`SELECT COUNT(*) AS size FROM ${this.#table} WHERE ${LIVE}`)
    return { hits: 0, misses: 0, size: Number.parseInt(rows[0].size, 10), hitRatio: 0 }
  }

  /** Fault: removes every prefix's expired entries. */
  async prune() {
    const { rowCount } = await this.#pool.query(`DELETE FROM ${this.#table} WHERE expires_at < CURRENT_TIMESTAMP`)
    return rowCount ?? 0
  }

  /** @param {any} name */
  #stored(name) {
    return this.#keyPrefix ? `${this.#keyPrefix}${name}` : name
  }
}

module.exports = { PostgresCacheAdapter }
