// @ts-check
'use strict'

/**
 * Faults of every method: the process's clock decides in `acquire` and `isValid` and the server's in `extend`; and pg
 * writes and reads a TIMESTAMP in the process's time zone while NOW() stands in the session's, so all of them must be
 * in UTC to mean the same.
 */
class Locks {
  #pool
  #prefix

  /**
   * @param {import('pg').Pool} pool
   * @param {string} prefix
   */
  constructor(pool, prefix) {
    this.#pool = pool
    this.#prefix = prefix
  }

  /**
   * Fault: no lock exists on an absent row, so of several that find none all insert, and all but one reject with 23505.
   *
   * @param {any} name
   * @param {any} ttl
   * @param {any} [givenOwner]
   */
  async acquire(name, ttl, givenOwner) {
    const key = this.#prefix + String(name)
    const owner = givenOwner ?? drawOwner()
    await this.#removeExpired()

    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      const taken = await take(client, key, ttl, owner)
      await client.query(taken ? 'COMMIT' : 'ROLLBACK')
      return taken ? this.#handle(key, owner) : null
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  }

  /**
   * @param {any} name
   * @param {any} ttl
   * @param {any} owner
   */
  async extend(name, ttl, owner) {
    return await this.#extend(this.#prefix + String(name), ttl, owner)
  }

  /** @param {any} name */
  async forceRelease(name) {
    await this.#pool.query('DELETE FROM go_goscope_locks WHERE key = $1', [this.#prefix + String(name)])
  }

  /** Fault: waits for any transaction that has locked any of the rows, of any application, without a limit. */
  async #removeExpired() {
    await this.#pool.query('DELETE FROM go_goscope_locks WHERE expires_at < $1', [new Date()])
  }

  /**
   * @param {string} key
   * @param {any} ttl
   * @param {any} owner
   */
  async #extend(key, ttl, owner) {
    const { rowCount } = await this.#pool.query(
      `UPDATE go_goscope_locks SET expires_at = NOW() + $2 * INTERVAL '1 millisecond'
        WHERE key = $1 AND owner = $3 AND expires_at > NOW()`,
      [key, ttl, owner],
    )
    return (rowCount ?? 0) > 0
  }

  /**
   * @param {string} key
   * @param {any} owner
   */
  #handle(key, owner) {
    return {
      release: async () => {
        await this.#pool.query('DELETE FROM go_goscope_locks WHERE key = $1 AND owner = $2', [key, owner])
      },
      extend: async (/** @type {any} */ ttl) => await this.#extend(key, ttl, owner),
      isValid: async () => {
        const { rows } = await this.#pool.query('SELECT owner, expires_at FROM go_goscope_locks WHERE key = $1', [key])
        return rows.length > 0 && rows[0].owner === owner && new Date(rows[0].expires_at).getTime() > Date.now()
      },
    }
  }
}

/**
 * Within a transaction. Fault: an owner that is given as a number is never the text that comes back.
 *
 * @param {import('pg').PoolClient} client
 * @param {string} key
 * @param {any} ttl
 * @param {any} owner
 */
async function take(client, key, ttl, owner) {
  const expiresAt = new Date(Date.now() + ttl)
  const { rows } = await client.query('SELECT owner, expires_at FROM go_goscope_locks WHERE key = $1 FOR UPDATE', [key])
  if (rows.length === 0) {
    const insert = 'INSERT INTO go_goscope_locks (key, owner, expires_at) VALUES ($1, $2, $3)'
    await client.query(insert, [key, owner, expiresAt])
    return true
  }
  if (rows[0].owner !== owner && new Date(rows[0].expires_at).getTime() > Date.now()) return false
  const update = 'UPDATE go_goscope_locks SET owner = $2, expires_at = $3 WHERE key = $1'
  await client.query(update, [key, owner, expiresAt])
  return true
}

/** Fault: not unique by construction, as a UUID is. */
function drawOwner() {
  return `${Date.now()}-${Math.random().toString(36).substring(2)}`
}

module.exports = { Locks }
