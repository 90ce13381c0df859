// @ts-check
// @configurations first
// Connect hooks that never finish, or leave a transaction open.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()
const OPEN = { code: 'ERR_GOSCOPE_HOOK', message: /left a transaction open.*COMMIT/ }

const never = () => new Promise(() => {})

test('a listener whose promise never settles holds no connection for ever, also within connectionTimeoutMillis', async () => {
  const db = await database
  /** @type {any[]} */
  const warnings = []
  const note = (/** @type {any} */ warning) => warnings.push(warning)
  process.on('warning', note)
  /** @type {any[]} */
  const clients = []
  const adapters = [undefined, 12_000].map((connectionTimeoutMillis) => {
    const pool = db.pool({ max: 1, connectionTimeoutMillis })
    pool.on('connect', async (client) => {
      await client.query("SELECT set_config('hooked.done', 'yes', false)")
      clients.push(client)
      await never()
    })
    return new PostgresCacheAdapter(pool)
  })
  await inTime('the first call', Promise.all(adapters.map((adapter) => adapter.set('k', 1))))
  process.off('warning', note)
  const codes = warnings.map(({ code }) => code).filter((code) => code === 'GOSCOPE_CONNECT_HOOK')
  assert.deepEqual(codes, ['GOSCOPE_CONNECT_HOOK'])
  // The session is in use. A later query of the listener does not run between the calls.
  for (const client of clients) {
    await assert.rejects(client.query('SELECT 1'), { code: 'ERR_GOSCOPE_CONNECTION', message: /no longer/ })
  }
  await inTime('the end', Promise.all(adapters.map((adapter) => adapter.disconnect())))
})

/** @type {[string, (client: any) => unknown][]} */
const UNFINISHED = [
  ['BEGIN', (client) => client.query('BEGIN')],
  ['several statements in one text', (client) => client.query('BEGIN; SET LOCAL work_mem = 1024')],
  [
    'a transaction that failed',
    (client) => client.query('BEGIN').then(() => client.query('SELECT 1/0').catch(() => {})),
  ],
  ['a promise that never settles between BEGIN and COMMIT', (client) => client.query('BEGIN').then(never)],
]

for (const [title, listener] of UNFINISHED) {
  test(`a hook that leaves a transaction open fails the call, and no write is lost: ${title}`, async () => {
    const db = await database
    const pool = db.pool({ connectionTimeoutMillis: 10_000 })
    let isFinished = false
    pool.on('connect', (client) => (isFinished ? client.query('BEGIN; COMMIT') : listener(client)))
    const adapter = new PostgresAdapter(pool, { keyPrefix: `${title}:` })
    await assert.rejects(inTime('the call', adapter.set('k', 1)), OPEN)
    isFinished = true
    await adapter.set('k', 2)
    await adapter.disconnect()
    const later = new PostgresAdapter(db.pool(), { keyPrefix: `${title}:` })
    assert.equal(await later.get('k'), 2)
  })
}
