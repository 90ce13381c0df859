// @ts-check
'use strict'

const { expiryAfter } = require('./expiry.js')

/** Fault: what has expired stays in the table, unless it is set again. */
class PostgresIdempotencyAdapter {
  #pool
  #keyPrefix

  /**
   * @param {import('pg').Pool} pool
   * @param {{ keyPrefix?: string }} [options]
   */
  constructor(pool, options = {}) {
    this.#pool = pool
    this.#keyPrefix = options.keyPrefix ?? ''
  }

  /** Fault: keys longer than 255 characters do not fit. */
  async connect() {
    const client = await this.#pool.connect()
    try {
      await client.query(`CREATE TABLE IF NOT EXISTS go_goscope_idempotency (
        key VARCHAR(255) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP WITH TIME ZONE,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP)`)
      await client.query(`CREATE INDEX IF NOT EXISTS idx_idempotency_expires
        ON go_goscope_idempotency (expires_at) WHERE expires_at IS NOT NULL`)
    } finally {
      client.release()
    }
  }

  /** @param {any} name */
  async get(name) {
    const { rows } = await this.#pool.query(
      `SELECT value, expires_at FROM go_goscope_idempotency
        WHERE key = $1 AND (expires_at IS NULL OR expires_at > CURRENT_TIMESTAMP)`,
      [this.#stored(name)],
    )
    if (rows.length === 0) return null
    const [{ value, expires_at: expires }] = rows
    return { value, expiresAt: expires ? new Date(expires).getTime() : undefined }
  }

  /**
   * Fault: a failed Result, `[Error, undefined]`, becomes `[{}, null]` in JSON, and is replayed as a success.
   *
   * @param {any} name
   * @param {any} value
   * @param {any} [ttl]
   */
  async set(name, value, ttl) {
    await this.#pool.query(
      `INSERT INTO go_goscope_idempotency (key, value, expires_at, updated_at) VALUES ($1, $2, $3, CURRENT_TIMESTAMP)
       ON CONFLICT (key) DO UPDATE SET value = $2, expires_at = $3, updated_at = CURRENT_TIMESTAMP`,
      [this.#stored(name), JSON.stringify(value), expiryAfter(ttl)],
    )
  }

  /** @param {any} name */
  async delete(name) {
    await this.#pool.query('DELETE FROM go_goscope_idempotency WHERE key = $1', [this.#stored(name)])
  }

  /** @param {any} name */
  #stored(name) {
    return this.#keyPrefix ? `${this.#keyPrefix}${name}` : name
  }
}

module.exports = { PostgresIdempotencyAdapter }
