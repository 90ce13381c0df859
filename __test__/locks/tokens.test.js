// @ts-check
// @configurations first, last
// Fencing tokens: they increase in the order of the holders of a lock, and a stale holder cannot write.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { administer, useDatabase } = require('../support/database.js')
const { startRestartableServer } = require('../support/restartable-server.js')
const { inProcesses, Worker } = require('../support/processes.js')
const { extent } = require('../support/variants.js')
const { inTime, until } = require('../support/waiting.js')
const { grants, migration, urlAs } = require('../support/route.js')

const [database, contended, documented, narrow, wide, zoned, forged] = Array.from({ length: 7 }, () => useDatabase())

const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
const tokenless = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
after(() => administer(`DROP ROLE IF EXISTS ${tokenless}`))
// The database, with its grants, is dropped before: hooks run in the order in which they were registered.
after(() => administer(`DROP ROLE IF EXISTS ${role}`))

/** @typedef {Awaited<typeof database>} Database */

const CHECK = 'SELECT go_goscope_check_fencing_token($1, $2, $3)'

/**
 * @param {Database} db
 * @param {string} key
 * @param {bigint} token
 */
const check = (db, key, token, prefix = '') => db.query(CHECK, [key, token, prefix])

/**
 * @param {PostgresAdapter} adapter
 * @param {string} [owner]
 */
async function taken(adapter, key = 'k', ttl = 60_000, owner) {
  const lease = await adapter.acquire(key, ttl, owner)
  assert.ok(lease)
  return lease
}

/** @param {bigint[]} tokens */
function grow(tokens) {
  for (const [n, token] of tokens.entries()) assert.ok(n === 0 || token > tokens[n - 1], `${tokens}`)
}

test('tokens increase after release, expiry, forceRelease and reacquisition; an extension keeps them', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  const tokens = []
  for (let round = 0; round < 3; round++) {
    const first = await taken(adapter)
    tokens.push(first.fencingToken)
    const again = await taken(adapter, 'k', 60_000, first.owner)
    tokens.push(again.fencingToken)
    await assert.rejects(check(db, 'k', first.fencingToken), { code: 'GF001' })
    assert.equal(await again.extend(120_000), true)
    assert.equal(again.fencingToken, tokens.at(-1))
    await check(db, 'k', again.fencingToken)
    await again.release()
    tokens.push((await taken(adapter)).fencingToken)
    await adapter.forceRelease('k')
    tokens.push((await taken(adapter, 'k', 1)).fencingToken)
    await until('its end', async () => (await adapter.holder('k')) === null)
  }
  assert.equal(typeof tokens[0], 'bigint')
  grow(tokens)
})

test('concurrent acquisitions of many keys each get their own valid token', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  const keys = Array.from({ length: 300 }, (_, n) => `many${n}`)
  const first = await Promise.all(keys.map((key) => taken(adapter, key)))
  await Promise.all(first.map((lease) => check(db, lease.key, lease.fencingToken)))
  assert.equal(new Set(first.map(({ fencingToken }) => fencingToken)).size, keys.length)
  await Promise.all(first.map((lease) => lease.release()))
  const second = await Promise.all(keys.map((key) => taken(adapter, key)))
  for (const [n, lease] of second.entries()) grow([first[n].fencingToken, lease.fencingToken])
  await assert.rejects(check(db, 'many0', second[1].fencingToken), { code: 'GF001' })
})

test('a poll of a busy lock draws no token', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  await taken(adapter, 'busy')
  const drawn = async () => (await db.query('SELECT last_value FROM go_goscope_locks_fencing_token_seq'))[0].last_value
  const before = await drawn()
  for (let n = 0; n < 20; n++) assert.equal(await adapter.acquire('busy', 1000, 'other'), null)
  const many = await Promise.all(Array.from({ length: 50 }, (_, n) => adapter.acquire('busy', 1000, `other${n}`)))
  assert.deepEqual(new Set(many), new Set([null]))
  assert.equal(await drawn(), before)
})

/** The stored number is drawn before the row is in place. This makes the time between the two long and irregular. */
const SLOW_INSERTS = `
  CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(random() * random() * 0.02); RETURN NEW; END $$;
  CREATE TRIGGER dawdle BEFORE INSERT ON go_goscope_locks FOR EACH ROW EXECUTE FUNCTION dawdle();`

const WITNESS = 'CREATE TABLE witness (at BIGSERIAL PRIMARY KEY, key TEXT, token BIGINT UNIQUE, by INTEGER)'

/** @param {(sql: string) => Promise<any[]>} query */
async function judge(query) {
  const rows = await query('SELECT key, token, by FROM witness ORDER BY at')
  const keys = new Set(rows.map(({ key }) => key))
  for (const key of keys) grow(rows.filter((row) => row.key === key).map(({ token }) => BigInt(token)))
  return { writes: rows.length, keys: keys.size, processes: new Set(rows.map(({ by }) => by)).size }
}

test('many processes acquire, lose, free and abandon the same locks: each token exceeds those before', async () => {
  const db = await contended
  await new PostgresAdapter(db.pool()).connect()
  await db.query(SLOW_INSERTS)
  await db.query(WITNESS)
  const keys = ['a', 'b', 'c']
  let [writes, refused] = [0, 0]
  let seen = {}
  // A slow machine needs further rounds for as many.
  while (writes <= 50 || refused === 0) {
    const results = await inProcesses(6, 'drawTokens', { url: db.url, keys, ms: extent(5_000, 2_500) })
    refused = results.reduce((sum, each) => sum + each.refused, refused)
    ;({ writes, ...seen } = await judge((sql) => db.query(sql)))
  }
  console.log(`# figure: ${writes} writes under a token in the order of their tokens, ${refused} stale ones refused`)
  assert.deepEqual(seen, { keys: 3, processes: 6 })
})

test('tokens of a lock increase while processes are killed, and the server crashes and recovers', {
  skip: process.platform !== 'linux',
}, async () => {
  const server = await startRestartableServer()
  const query = async (/** @type {string} */ sql) => {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    return (await client.query(sql).finally(() => client.end())).rows
  }
  try {
    const adapter = new PostgresAdapter(server.url)
    await adapter.connect()
    await adapter.disconnect()
    await query(WITNESS)
    const keys = ['a', 'b']
    const rounds = extent(3, 1)
    let workers = 0
    const start = async () => {
      const worker = new Worker('drawTokens', { url: server.url, keys, ms: 600_000, index: workers++ })
      await worker.ready
      worker.start()
      return worker
    }
    const written = async () => (await query('SELECT count(*)::int AS n FROM witness'))[0].n
    const further = async (/** @type {number} */ from) =>
      until('more writes', async () => (await written().catch(() => 0)) > from + 20)
    let users = await Promise.all(Array.from({ length: 4 }, start))
    for (let round = 0; round < rounds; round++) {
      await further(await written())
      users[0].kill()
      users = [...users.slice(1), await start()]
      await further(await written())
      const before = await written()
      await server.crash()
      await server.start()
      await further(before)
    }
    for (const user of users) user.kill()
    const { writes, processes } = await judge(query)
    console.log(`# figure: ${writes} writes under a token, over ${rounds} crashes and ${workers} processes`)
    assert.ok(processes >= 4)
  } finally {
    await server.stop()
  }
})

test('a stale holder cannot write, no matter which process has acquired the lock since, and how', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  /** @type {[string, (key: string) => Promise<unknown>][]} */
  const successions = [
    ['no process', async () => {}],
    ['a holder with a token', (key) => taken(adapter, key)],
    [
      'the pg-based adapter',
      async (key) => {
        await db.query('DELETE FROM go_goscope_locks WHERE key = $1', [`lock:${key}`])
        await db.query("INSERT INTO go_goscope_locks (key, owner, expires_at) VALUES ($1, 'other', 'infinity')", [
          `lock:${key}`,
        ])
      },
    ],
    [
      'a process that updates the row, and does not know tokens',
      (key) =>
        db.query("UPDATE go_goscope_locks SET owner = 'other', expires_at = 'infinity' WHERE key = $1", [
          `lock:${key}`,
        ]),
    ],
  ]
  for (const [n, [who, succeed]] of successions.entries()) {
    const key = `stale${n}`
    const stale = await taken(adapter, key, 300)
    await check(db, key, stale.fencingToken)
    await until('its end', async () => (await adapter.holder(key)) === null)
    await succeed(key)
    await assert.rejects(
      check(db, key, stale.fencingToken),
      { code: 'GF001', message: /"stale\d" is not held with/ },
      who,
    )
    for (const wrong of [0n, 1n, stale.fencingToken + 1n, 2n ** 63n - 1n, -1n])
      await assert.rejects(check(db, key, wrong), { code: 'GF001' })
  }
})

test('a transaction that has checked a token blocks takeovers until its end; the holder may still extend', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  const lease = await taken(adapter, 'guarded', 60_000)
  const guard = await db.hold(CHECK, ['guarded', lease.fencingToken, ''])
  assert.equal(await inTime('an extension beside the transaction', lease.extend(50)), true)
  await until('its end', async () => (await adapter.holder('guarded')) === null)
  let isTaken = false
  const next = taken(adapter, 'guarded').then((next) => {
    isTaken = true
    return next
  })
  await db.untilWaiting()
  assert.equal(isTaken, false)
  await guard.commit()
  grow([lease.fencingToken, (await inTime('the takeover', next)).fencingToken])
  const held = await db.hold(CHECK, ['guarded', (await next).fencingToken, ''])
  const released = (await next).release()
  await db.untilWaiting()
  await held.rollback()
  await inTime('the release', released)
})

test('a transaction that has checked a token also blocks takeovers by roles that may not draw tokens', async () => {
  const db = await database
  const lease = await taken(new PostgresAdapter(db.pool()), 'unequal', 60_000)
  await db.query(`CREATE ROLE ${tokenless} LOGIN PASSWORD 'secret'`)
  await db.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON go_goscope_locks TO ${tokenless}`)
  const other = new PostgresAdapter(db.pool({ connectionString: urlAs(db.url, tokenless) }))
  const guard = await db.hold(CHECK, ['unequal', lease.fencingToken, ''])
  await lease.extend(50)
  await until('its end', async () => (await other.holder('unequal')) === null)
  let isTaken = false
  const next = taken(other, 'unequal').then((next) => {
    isTaken = true
    return next
  })
  await db.untilWaiting()
  assert.equal(isTaken, false)
  await guard.commit()
  const taker = await inTime('the takeover', next)
  assert.throws(() => taker.fencingToken, { code: 'ERR_FENCING_UNAVAILABLE' })
  await assert.rejects(check(db, 'unequal', lease.fencingToken), { code: 'GF001' })
})

for (const [n, how] of ['sql/schema.sql', 'connect()'].entries()) {
  test(`a temporary table cannot forge a token if ${how} has created the check`, async () => {
    const db = await forged
    await db.query(`CREATE SCHEMA s${n}; ALTER DATABASE ${db.name} SET search_path = s${n}`)
    const client = new pg.Client({ connectionString: db.ownUrl })
    await client.connect()
    try {
      if (how === 'connect()') await new PostgresAdapter(db.pool()).connect()
      else await client.query(migration('schema.sql'))
      await client.query(`
        CREATE TEMPORARY TABLE go_goscope_locks (key text, owner text, expires_at timestamp, fencing_token bigint, fencing_owner text);
        INSERT INTO go_goscope_locks VALUES ('lock:k', 'me', 'infinity', 7, 'me')`)
      await assert.rejects(client.query(CHECK, ['k', 7n << 12n, '']), { code: 'GF001' })
      const lease = await taken(new PostgresAdapter(db.pool()))
      await client.query(CHECK, ['k', lease.fencingToken, ''])
      await lease.release()
    } finally {
      await client.end()
    }
  })
}

test('the check accepts keys of any kind and prefixes, as the adapter stores them', async () => {
  const db = await database
  const long = 'x'.repeat(10_000)
  for (const keyPrefix of ['', 'app:', '%_\\', long, '\u0001#']) {
    const adapter = new PostgresAdapter(db.pool(), { keyPrefix })
    for (const key of ['plain', 'ünï "quoted" \'key\'', '', long, '\u0001#x']) {
      const lease = await taken(adapter, key)
      await check(db, key, lease.fencingToken, keyPrefix)
      await assert.rejects(check(db, `${key}?`, lease.fencingToken, keyPrefix), { code: 'GF001' })
      await lease.release()
    }
    await adapter.disconnect()
  }
})

test('tables with narrow keys, with TIMESTAMPTZ, and with the same name in another schema have tokens', async () => {
  const db = await zoned
  await db.query(`
    CREATE SCHEMA one; CREATE SCHEMA "Two's";
    CREATE TABLE one.go_goscope_locks (key VARCHAR(64) PRIMARY KEY, owner VARCHAR(99) NOT NULL, expires_at TIMESTAMPTZ NOT NULL)`)
  const key = 'k'.repeat(300)
  const leases = []
  for (const schema of ['one', '"Two\'s"']) {
    const pool = db.pool({ options: `-c search_path=${schema} -c TimeZone=Asia/Tokyo` })
    const adapter = new PostgresAdapter(pool)
    await adapter.connect()
    leases.push(await taken(adapter, key))
  }
  const [one, two] = leases
  const checkIn = (/** @type {string} */ schema, /** @type {bigint} */ token) =>
    db.query(`SELECT ${schema}.go_goscope_check_fencing_token($1, $2)`, [key, token])
  await checkIn('one', one.fencingToken)
  await checkIn('"Two\'s"', two.fencingToken)
  await one.release()
  await assert.rejects(checkIn('one', two.fencingToken), { code: 'GF001' })
})

test('on a documented table without additions the documented API works, and connect() adds tokens', async () => {
  const db = await documented
  const documentedTable = `
    CREATE TABLE go_goscope_locks (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at TIMESTAMP NOT NULL);
    CREATE INDEX idx_locks_expires ON go_goscope_locks (expires_at)`
  await db.query(documentedTable)
  const reader = new PostgresAdapter(db.pool(), { createTables: false })
  await reader.connect()
  const lease = await taken(reader)
  assert.throws(() => lease.fencingToken, { code: 'ERR_FENCING_UNAVAILABLE', message: /connect\(\)/ })
  assert.equal(await reader.acquire('k', 1000, 'other'), null)
  assert.equal(await lease.extend(60_000), true)

  // A writer keeps the table busy: connect() does not wait for long, and uses the table unchanged.
  const writer = await db.hold("INSERT INTO go_goscope_locks VALUES ('w', 'w', 'infinity')")
  const owner = new PostgresAdapter(db.pool())
  let isConnected = false
  const connected = inTime('connect() beside a writer', owner.connect()).then(() => (isConnected = true))
  // It also does not block concurrent writers while it tries.
  for (let n = 0; !isConnected; n++) {
    await inTime('a write', db.query(`INSERT INTO go_goscope_locks VALUES ('beside${n}', 'w', 'infinity')`))
  }
  await connected
  const without = await taken(owner, 'x')
  assert.throws(() => without.fencingToken, { code: 'ERR_FENCING_UNAVAILABLE' })
  await writer.commit()

  await owner.connect()
  grow([(await taken(owner, 'x', 1000, without.owner)).fencingToken])
  // An adapter that connected before continues without tokens, and must not return another holder's token.
  const held = await taken(owner, 'y', 100)
  await until('its end', async () => (await owner.holder('y')) === null)
  const unknowing = await taken(reader, 'y')
  assert.throws(() => unknowing.fencingToken, { code: 'ERR_FENCING_UNAVAILABLE' })
  await assert.rejects(check(db, 'y', held.fencingToken), { code: 'GF001' })

  // The table is dropped, and created again without additions, while an adapter expects them.
  await db.query(`DROP TABLE go_goscope_locks; ${documentedTable}`)
  const found = await taken(owner, 'z')
  assert.throws(() => found.fencingToken, { code: 'ERR_FENCING_UNAVAILABLE' })
})

const AT_ONCE = extent(20, 8)

test(`${AT_ONCE} processes connect at once to a documented table without additions`, async () => {
  const db = await wide
  await db.query(
    'CREATE TABLE go_goscope_locks (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at TIMESTAMP NOT NULL)',
  )
  assert.deepEqual(await inProcesses(AT_ONCE, 'connect', { url: db.url }), Array(AT_ONCE).fill(true))
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  await check(db, 'k', (await taken(adapter)).fencingToken)
})

test('a role with the rights of sql/role.sql draws tokens; without the sequence it works without tokens', async () => {
  const db = await narrow
  await db.query(migration('schema.sql'))
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
  await db.query(grants(role))
  const url = urlAs(db.url, role)
  const pool = db.pool({ connectionString: url })
  const adapter = new PostgresAdapter(pool)
  await adapter.connect()
  const lease = await taken(adapter)
  await pool.query(CHECK, ['k', lease.fencingToken, ''])
  await db.query(`REVOKE ALL ON SEQUENCE go_goscope_locks_fencing_token_seq FROM ${role}`)
  const without = await taken(adapter, 'other')
  assert.throws(() => without.fencingToken, { code: 'ERR_FENCING_UNAVAILABLE', message: /sql\/role\.sql/ })
  assert.equal(await without.isValid(), true)
  // A sequence with CACHE draws numbers ahead, and they are not in order.
  await db.query(`GRANT USAGE ON SEQUENCE go_goscope_locks_fencing_token_seq TO ${role}`)
  await db.query('ALTER SEQUENCE go_goscope_locks_fencing_token_seq CACHE 10')
  await adapter.connect()
  const ahead = await taken(adapter, 'third')
  assert.throws(() => ahead.fencingToken, { code: 'ERR_FENCING_UNAVAILABLE' })
})
