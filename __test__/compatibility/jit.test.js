// @ts-check
// @configurations first
// A server that compiles plans compiles none of ours. Compiling takes hundreds of milliseconds at each execution.
'use strict'

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const pg = require('pg')
const { startPostgres } = require('goscope-postgres/embedded')
const { debianPackage, missing } = require('../../scripts/servers/debian-postgres.js')
const { OPERATIONS, adaptersOn, connectAll, perform } = require('../support/operations.js')

// If it can be installed, it must be installed.
const skip = process.env.CI === 'true' ? false : missing || false

const started = skip ? undefined : start()
after(async () => (await started)?.stop())

async function start() {
  const debian = debianPackage()
  const server = await startPostgres({
    package: debian.package,
    settings: { shared_preload_libraries: 'pg_stat_statements' },
  })
  const client = new pg.Client(server.url)
  await client.connect()
  await client.query('CREATE EXTENSION pg_stat_statements')
  const stop = async () => {
    await client.end()
    await server.stop()
    debian.remove()
  }
  return { url: server.url, client, stop }
}

/**
 * The statements that were compiled since the last call.
 *
 * @param {pg.Client} client
 */
async function compiled(client) {
  const { rows } = await client.query(`SELECT query, jit_functions::int AS functions FROM pg_stat_statements
    WHERE jit_functions > 0 AND query NOT LIKE '%pg_stat_statements%'`)
  await client.query('SELECT pg_stat_statements_reset()')
  return rows
}

/** The secondary indexes of the documented tables. */
const SECONDARY = `SELECT indexrelid::regclass AS name FROM pg_index
  WHERE indrelid::regclass::text LIKE 'go_goscope%' AND NOT indisunique`

test('the server, as configured, compiles a plan that is expensive enough', { skip }, async () => {
  const { client } = await /** @type {NonNullable<typeof started>} */ (started)
  const { rows } = await client.query('SELECT pg_jit_available() AS available, current_setting($1) AS jit', ['jit'])
  assert.deepEqual(rows, [{ available: true, jit: 'on' }])
  await client.query('SET enable_seqscan = off')
  await client.query('CREATE TABLE go_goscope_large AS SELECT 1 AS n')
  await client.query('SELECT sum(n + 1) FROM go_goscope_large WHERE n > 0')
  await client.query('RESET enable_seqscan')
  assert.equal((await compiled(client)).length, 1)
})

for (const indexed of [true, false]) {
  test(`no operation is compiled, on tables ${indexed ? 'of connect()' : 'without secondary indexes'}`, {
    skip,
  }, async () => {
    const { url, client } = await /** @type {NonNullable<typeof started>} */ (started)
    const pool = new pg.Pool({ connectionString: url, max: 1 })
    const on = adaptersOn(pool)
    await connectAll(on)
    if (!indexed) {
      for (const { name } of (await client.query(SECONDARY)).rows) await client.query(`DROP INDEX ${name}`)
    }
    for (const operation of OPERATIONS) {
      for (let run = 0; run < 2; run++) await perform(operation, on, `${operation.name} ${indexed} ${run}`)
      assert.deepEqual(await compiled(client), [], operation.name)
    }
    await on.main.disconnect()
  })
}
