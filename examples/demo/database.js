// @ts-check
// Where the demo works: a PostgreSQL of its own, or the server in DATABASE_URL; in either case in a schema of its own,
// so that it touches no other tables.
'use strict'

const crypto = require('node:crypto')
const { Pool } = require('pg')
const { startPostgres } = require('goscope-postgres/embedded')

/**
 * @typedef {object} Database
 * @property {string} url with the schema as its search path
 * @property {import('pg').Pool} pool
 * @property {string} description
 * @property {() => Promise<void>} leave takes away whatever the demo made
 */

/** @returns {Promise<Database>} */
async function openDatabase() {
  const given = process.env.DATABASE_URL
  const server = given ? undefined : await startPostgres()
  const schema = `goscope_demo_${crypto.randomBytes(4).toString('hex')}`
  const url = withSearchPath(server ? server.url : String(given), schema)
  const pool = new Pool({ connectionString: url, max: 2, application_name: 'demo' })
  // An idle connection that breaks is news only to the query that would have used it.
  pool.on('error', () => {})
  try {
    const version = await makeSchema(pool, schema)
    const where = server ? `started for this demo on port ${server.port}` : 'the server in DATABASE_URL'
    return { url, pool, description: `PostgreSQL ${version}, ${where}; schema ${schema}`, leave }
  } catch (error) {
    await pool.end()
    await server?.stop()
    throw error
  }

  async function leave() {
    try {
      if (!server) await dropSchema(url, schema)
    } finally {
      await server?.stop()
    }
  }
}

/**
 * In the URL, because pg prefers what stands there to an option beside it.
 *
 * @param {string} connectionString
 * @param {string} schema
 */
function withSearchPath(connectionString, schema) {
  const url = parsed(connectionString)
  const options = url.searchParams.get('options')
  const searchPath = `-c search_path=${schema}`
  url.searchParams.set('options', options ? `${options} ${searchPath}` : searchPath)
  return url.href
}

/** @param {string} connectionString */
function parsed(connectionString) {
  try {
    return new URL(connectionString)
  } catch {
    // URL's own error would show the password.
    throw new Error('DATABASE_URL must look like postgresql://user:password@host:port/database')
  }
}

/**
 * @param {import('pg').Pool} pool
 * @param {string} schema
 */
async function makeSchema(pool, schema) {
  await pool.query(`CREATE SCHEMA ${schema}`)
  const { rows } = await pool.query("SELECT current_schema() AS current, current_setting('server_version') AS version")
  // As behind a connection pooler that skips start-up options.
  if (rows[0].current !== schema) {
    await pool.query(`DROP SCHEMA ${schema}`)
    throw new Error(`The server ignores the search path that the demo asks for, so it would change other tables`)
  }
  return rows[0].version
}

/**
 * Through a pool of its own: the demo's may be ended or busy.
 *
 * @param {string} url
 * @param {string} schema
 */
async function dropSchema(url, schema) {
  const pool = new Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5000 })
  try {
    await pool.query(`DROP SCHEMA ${schema} CASCADE`)
  } catch (error) {
    throw new Error(`The schema ${schema} could not be dropped and is left behind`, { cause: error })
  } finally {
    await pool.end()
  }
}

module.exports = { openDatabase }
