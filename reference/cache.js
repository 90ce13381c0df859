// @ts-check
'use strict'

const { expiryAfter } = require('./expiry.js')

const LIVE = '(expires_at IS NULL OR expires_at > NOW())'

/** Fault: what has expired stays in the table, unless it is set again. */
class Cache {
  #pool
  #keyPrefix
  #prefix

  /**
   * @param {import('pg').Pool} pool
   * @param {string} keyPrefix
   */
  constructor(pool, keyPrefix) {
    this.#pool = pool
    this.#keyPrefix = keyPrefix
    this.#prefix = `${keyPrefix}cache:`
  }

  /** @param {any} name */
  async get(name) {
    const read = `SELECT value FROM go_goscope_cache WHERE key = $1 AND ${LIVE}`
    const { rows } = await this.#pool.query(read, [this.#prefix + String(name)])
    return rows.length === 0 ? null : rows[0].value
  }

  /**
   * Fault: `accessed_at` stays that of the first `set`.
   *
   * @param {any} name
   * @param {any} value
   * @param {any} [ttl]
   */
  async set(name, value, ttl) {
    await this.#pool.query(
      `INSERT INTO go_goscope_cache (key, value, expires_at) VALUES ($1, $2, $3)
       ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at`,
      [this.#prefix + String(name), JSON.stringify(value), expiryAfter(ttl)],
    )
  }

  /** @param {any} name */
  async delete(name) {
    await this.#pool.query('DELETE FROM go_goscope_cache WHERE key = $1', [this.#prefix + String(name)])
  }

  /** @param {any} name */
  async has(name) {
    const look = `SELECT 1 FROM go_goscope_cache WHERE key = $1 AND ${LIVE}`
    const { rows } = await this.#pool.query(look, [this.#prefix + String(name)])
    return rows.length > 0
  }

  /** Fault: the prefix is part of a pattern, so its `_` and `%` remove other prefixes' values. */
  async clear() {
    if (!this.#keyPrefix) await this.#pool.query('DELETE FROM go_goscope_cache')
    else await this.#pool.query('DELETE FROM go_goscope_cache WHERE key LIKE $1', [`${this.#prefix}%`])
  }

  /**
   * Faults: the prefix is part of the pattern; and without a prefix, keys come back as they are stored, those of other
   * prefixes among them, and the pattern is compared with that.
   *
   * @param {any} [pattern]
   * @returns {Promise<string[]>}
   */
  async keys(pattern) {
    const like = this.#keyPrefix ? this.#prefix + (pattern || '%') : pattern
    const { rows } = like
      ? await this.#pool.query(`SELECT key FROM go_goscope_cache WHERE key LIKE $1 AND ${LIVE}`, [like])
      : await this.#pool.query(`SELECT key FROM go_goscope_cache WHERE ${LIVE}`)
    const stored = rows.map(({ key }) => key)
    if (!this.#keyPrefix) return stored
    return stored.map((key) => (key.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : key))
  }
}

module.exports = { Cache }
