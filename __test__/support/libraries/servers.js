// @ts-check
// The newest PostgreSQL, which the runner has started, and the oldest one.
'use strict'

const { after } = require('node:test')
const pg = require('pg')
const { startPostgres } = require('../../../embedded.js')
const { useDatabase } = require('../database.js')
const { postgresPackage } = require('../postgres-versions.js')

const OLDEST = 13

/** @typedef {{ title: string, placed: () => Promise<import('./behaviour.js').Place> }} Server */

/** @returns {Server[]} */
function useServers() {
  const database = useDatabase()
  /** @type {import('../../../embedded.js').EmbeddedPostgres | undefined} */
  let server
  /** @type {import('./behaviour.js').Place | undefined} */
  let place
  /** @type {pg.Pool[]} */
  const pools = []
  after(async () => {
    for (const pool of pools) if (!pool.ending) await pool.end()
    await server?.stop()
  })
  return [
    { title: '', placed: () => database },
    {
      title: `, on PostgreSQL ${OLDEST}`,
      placed: async () => {
        server ??= await startPostgres({ package: postgresPackage(OLDEST) })
        const { url } = server
        place ??= {
          url,
          pool: () => {
            const pool = new pg.Pool({ connectionString: url })
            pools.push(pool)
            return pool
          },
        }
        return place
      },
    },
  ]
}

module.exports = { useServers }
