// @ts-check
// @configurations first
// A second connection that is slow to open delays no call that the first can execute.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()

for (const held of [false, true]) {
  test(`the second connection never opens${held ? ', and the first waits for a row at times' : ''}: each call is answered`, async () => {
    const db = await database
    let connections = 0
    // `pg` asks for a password at each connection. The second never gets one, as if JavaScript were blocked.
    const password = () => (++connections === 1 ? new URL(db.url).password : new Promise(() => {}))
    const url = new URL(db.url)
    url.password = ''
    const pool = db.pool({ connectionString: undefined, ...configOf(url), password, max: 4 })
    const adapter = new PostgresAdapter(pool)
    await adapter.set('warm', 1)
    for (let round = 0; round < 20; round++) {
      const holder = held
        ? await db.hold("SELECT FROM go_goscope_cache WHERE key = 'cache:warm' FOR UPDATE")
        : undefined
      const blocked = held ? adapter.set('warm', round) : undefined
      const calls = Array.from({ length: 200 }, (_, n) => adapter.set(`${held}:${round}:${n}`, n))
      if (holder) setTimeout(() => holder.commit(), 20)
      await inTime(`200 calls of round ${round}`, Promise.all([blocked, ...calls]))
    }
    if (held) assert.ok(connections >= 2, 'no second connection was requested')
  })
}

/** @param {URL} url */
const configOf = (url) => ({
  host: url.hostname,
  port: Number(url.port),
  user: url.username,
  database: url.pathname.slice(1),
})
