// @ts-check
// @configurations first
// One statement, one round trip: the messages that each operation sends, and the statements that the server logs.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { after, test } = require('node:test')
const { setTimeout } = require('node:timers/promises')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')
const { startProxy } = require('../support/proxy.js')
const { OPERATIONS, adaptersOn, connectAll } = require('../support/operations.js')
const { until } = require('../support/waiting.js')

// The messages of the extended protocol: Parse, Bind, Describe, Execute, Sync. A Sync ends a round trip.
const FIRST_RUN = 'PBDES'
const LATER_RUN = 'BES'
// Each new connection finds out once whether it has a session of its own.
const SESSION = 'PBDES'
/** The limit for lock waits: sent with a session's first statement, in the same round trip. */
const LOCK_TIMEOUT = 'Q'

const MAX_RUNS = 50

/** @typedef {import('../support/operations.js').Operation} Operation */

test('each operation is one statement and one round trip', async (t) => {
  await using_(async (server, proxy) => {
    const direct = new pg.Pool({ connectionString: server.url })
    const [on, other] = [adaptersOn(new pg.Pool({ connectionString: proxy.url, max: 1 })), adaptersOn(direct)]
    await connectAll(on)
    await on.main.get('x')
    let keys = 0
    const observe = async (/** @type {Operation} */ { seed, ready }) => {
      const key = `key ${keys++}`
      await seed?.(other, key)
      const call = await ready(on, key)
      proxy.reset()
      const logged = fs.statSync(server.logFile).size
      await call()
      const log = fs.readFileSync(server.logFile, 'utf8').slice(logged)
      return { messages: proxy.messages, executed: log.match(/LOG: {2}execute /g)?.length }
    }
    const areOneStatement = (/** @type {Awaited<ReturnType<typeof observe>>[]} */ runs) =>
      runs.every(({ messages, executed }) => messages === LATER_RUN && executed === 1)

    for (const operation of OPERATIONS) {
      await t.test(operation.name, async () => {
        const runs = []
        // Some statements have run before, as part of another operation. The second execution on a connection prepares.
        for (let run = 0; run < 2; run++) runs.push(await observe(operation))
        assert.match(runs[0].messages, /^(PDSBES|PBDES|BES)/)
        // If the server stalls in the middle of a statement, its expiry is written anew: one more round trip.
        do runs.push(await observe(operation), await observe(operation))
        while (runs.length < MAX_RUNS && !areOneStatement(runs.slice(-2)))
        assert.ok(areOneStatement(runs.slice(-2)), JSON.stringify(runs))
      })
    }
    await Promise.all([on.main.disconnect(), other.main.disconnect()])
  })
})

test('a first call on a fresh connection costs one round trip beyond those for the session and the catalogue', async () => {
  await using_(async (_, proxy) => {
    const first = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 1 }))
    await first.get('x')
    await first.disconnect()
    await until('its Terminate', () => proxy.messages.endsWith('X'))
    const pool = new pg.Pool({ connectionString: proxy.url, max: 1 })
    const adapter = new PostgresAdapter(pool)
    proxy.reset()
    await adapter.get('x')
    // The password messages come before them.
    assert.equal(proxy.messages.replace(/^p+/, ''), SESSION + FIRST_RUN + LOCK_TIMEOUT + FIRST_RUN)
    await adapter.disconnect()
  })
})

test('connect() checks all of its tables in one round trip, if they exist', async () => {
  await using_(async (_, proxy) => {
    const first = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 1 }))
    await first.connect()
    await first.disconnect()
    await until('its Terminate', () => proxy.messages.endsWith('X'))
    const adapter = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 1 }))
    proxy.reset()
    await adapter.connect()
    assert.equal(proxy.messages.replace(/^p+/, ''), SESSION + FIRST_RUN)
    await adapter.get('x')
    assert.equal(proxy.messages.replace(/^p+/, ''), SESSION + FIRST_RUN + LOCK_TIMEOUT + FIRST_RUN)
    await adapter.disconnect()
  })
})

test('the connections end with a Terminate', async () => {
  await using_(async (_, proxy) => {
    const adapter = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url }))
    await adapter.get('x')
    proxy.reset()
    await adapter.disconnect()
    // The connection is closed, but the proxy may not have read it yet.
    await until('a message', () => proxy.messages !== '')
    assert.equal(proxy.messages, 'X')
  })
})

test('calls that wait together share statements', async () => {
  await using_(async (server, proxy) => {
    const adapter = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 1 }))
    await adapter.set('first', 0)
    const holder = new pg.Client({ connectionString: server.url })
    holder.on('error', () => {}) // a test that fails ends the server under it
    await holder.connect()
    await holder.query("BEGIN; SELECT * FROM go_goscope_cache WHERE key = 'cache:first' FOR UPDATE")
    proxy.reset()
    const first = adapter.set('first', 1)
    // A waiting call occupies the only connection, so the others wait together however slowly they are made.
    await until('its statement', () => proxy.messages.includes('E'))
    proxy.reset()
    const others = Array.from({ length: 256 }, (_, n) => adapter.set(`k${n}`, n))
    await holder.query('COMMIT')
    await Promise.all([first, ...others])
    const statements = proxy.messages.match(/E/g)?.length ?? 0
    console.log(`# figure: 256 sets that waited together went out in ${statements} statements`)
    assert.ok(statements <= 8, `${statements} statements`)
    await holder.end()
    await adapter.disconnect()
  })
})

test('writers in two halves, each with its own flush, merge into one batch', async () => {
  // A flush takes at least 3 ms. In comparison, the callers take little time, however busy the machine is otherwise.
  const flushes = { fsync: 'on', commit_delay: '3000', commit_siblings: '0' }
  const server = await startPostgres({ settings: { ...QUIET, ...flushes } })
  try {
    const adapter = new PostgresAdapter(new pg.Pool({ connectionString: server.url }))
    await adapter.connect()
    const means = []
    for (let attempt = 0; attempt < 9; attempt++) {
      let isOver = false
      const write = async (/** @type {number} */ n) => {
        while (!isOver) await adapter.set(`k${n}`, n)
      }
      const writers = []
      for (const first of [0, 8]) {
        for (let n = first; n < first + 8; n++) writers.push(write(n))
        await setTimeout(1)
      }
      const before = adapter.metrics().statements
      await until('fifty statements', () => adapter.metrics().statements.count >= before.count + 50)
      const { count, sum } = adapter.metrics().statements
      means.push((sum - before.sum) / (count - before.count))
      isOver = true
      await Promise.all(writers)
    }
    await adapter.disconnect()
    const median = means.sort((a, b) => a - b)[4]
    console.log(`# figure: 16 writers in two halves: ${median?.toFixed(1)} calls a statement`)
    // If the halves stay apart, it is 8.
    assert.ok(Number(median) > 12, means.join())
  } finally {
    await server.stop()
  }
})

test('a poll of a busy lock writes nothing: no WAL, no row lock', async () => {
  await using_(async (server) => {
    const pool = new pg.Pool({ connectionString: server.url })
    const plain = new pg.Client({ connectionString: server.url })
    plain.on('error', () => {})
    await plain.connect()
    const locks = new PostgresAdapter(pool)
    await locks.acquire('busy', 600_000, 'holder')
    // The catalogue, too: new connections read it, and would clean up dead rows in it.
    await plain.query('VACUUM')
    await plain.query('CHECKPOINT')
    const look = async () => {
      const { rows } = await plain.query(
        "SELECT pg_current_wal_insert_lsn() AS lsn, xmin, xmax, ctid FROM go_goscope_locks WHERE key = 'lock:busy'",
      )
      return rows[0]
    }
    const before = await look()
    for (let n = 0; n < 500; n++) assert.equal(await locks.acquire('busy', 60_000, `other${n}`), null)
    const many = await Promise.all(Array.from({ length: 500 }, () => locks.acquire('busy', 60_000)))
    assert.ok(many.every((handle) => handle === null))
    assert.deepEqual(await look(), before)
    await plain.end()
    await locks.disconnect()
  })
})

test('a release is visible at once and does not wait for the disk; the next acquire does', async () => {
  await using_(async (server) => {
    const plain = new pg.Client({ connectionString: server.url })
    plain.on('error', () => {})
    await plain.connect()
    const locks = new PostgresAdapter(new pg.Pool({ connectionString: server.url }))
    const look = async () => {
      const { rows } = await plain.query(`SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS flushed,
        (SELECT count(*)::int FROM go_goscope_locks) AS locks`)
      return rows[0]
    }
    await locks.connect()
    // A new connection reads the catalogue, and would clean up dead rows in it: that is in the log, too.
    await plain.query('VACUUM')
    let waits
    // The server flushes by itself every ten seconds, which may happen in between.
    for (let round = 0; round < 3 && waits !== false; round++) {
      const handle = await locks.acquire('released', 60_000)
      assert.deepEqual(await look(), { flushed: true, locks: 1 })
      await handle?.release()
      const { flushed, locks: left } = await look()
      assert.equal(left, 0)
      waits = flushed
    }
    assert.equal(waits, false, 'the log of the release is not on disk yet')
    await locks.acquire('released', 60_000)
    assert.deepEqual(await look(), { flushed: true, locks: 1 })
    await plain.end()
    await locks.disconnect()
  })
})

const QUIET = {
  autovacuum: 'off',
  wal_level: 'minimal',
  max_wal_senders: 0,
  checkpoint_timeout: '1h',
  wal_writer_delay: '10s',
  log_statement: 'all',
  log_min_messages: 'log',
}
const quiet = startPostgres({ settings: QUIET })
after(async () => (await quiet).stop())
let databases = 0

/**
 * A database on a quiet server that logs each statement, and a proxy before it. No two tests use the server at once.
 *
 * @param {(server: { url: string, logFile: string }, proxy: Awaited<ReturnType<typeof startProxy>>) => Promise<void>} work
 */
async function using_(work) {
  const { url, logFile } = await quiet
  const own = new URL(url)
  own.pathname = `/test_${databases++}`
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${own.pathname.slice(1)}`)
  await admin.end()
  await through({ url: own.href, logFile }, work)
}

/**
 * @param {{ url: string, logFile: string }} server
 * @param {Parameters<typeof using_>[0]} work
 */
async function through(server, work) {
  const proxy = await startProxy(server.url)
  try {
    await work(server, proxy)
  } finally {
    await proxy.stop()
  }
}
