// @ts-check
// @configurations first
// The life of a server under work of every kind: it restarts, crashes, ends sessions, runs out of connections, becomes
// read-only. No acknowledged write is lost, and the client recovers by itself.
'use strict'

const assert = require('node:assert/strict')
const net = require('node:net')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, afterEach, test } = require('node:test')
const pg = require('pg')
const { Load } = require('../support/load.js')
const { adaptersOn } = require('../support/operations.js')
const { Figures, SOAK_MINUTES } = require('../support/figures.js')
const { startRestartableServer } = require('../support/restartable-server.js')
const { until } = require('../support/waiting.js')

/** The operations that are not retried if their outcome is unknown. */
const WRITES = new Set(['recordFailure', 'set', 'save', 'idempotency set'])

const skip = process.platform === 'linux' ? false : 'it looks into /proc'
const server = skip ? undefined : startRestartableServer({ max_connections: '50', superuser_reserved_connections: '1' })
const restartable = async () => /** @type {NonNullable<Awaited<typeof server>>} */ (await server)

/** @type {pg.Pool[]} */
let pools = []
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.end()))
  pools = []
})
after(async () => (await server)?.stop())

/** @param {pg.PoolConfig} [options] */
async function pool(options) {
  const made = new pg.Pool({ connectionString: (await restartable()).url, max: 3, ...options })
  made.on('error', () => {})
  pools.push(made)
  return made
}

test('restarts and crashes: no acknowledged write is lost, and work resumes by itself', { skip }, async () => {
  const figures = new Figures()
  const it = await restartable()
  // An extension retries through this: its lease is longer than each of these outages.
  const load = new Load(await pool(), figures, { fails: (_, what) => what !== 'extend' })
  await load.start()
  /** @type {number[]} */
  const gaps = []
  const end = performance.now() + (SOAK_MINUTES * 60_000) / 2
  do {
    for (const fault of [() => it.restart(), () => it.crash().then(() => it.start()), () => it.crashOneSession()]) {
      figures.faults++
      await fault()
      const back = performance.now()
      await until('calls succeed again', () => load.lastSuccess > back)
      gaps.push(load.lastSuccess - back)
      await sleep(200)
    }
  } while (performance.now() < end)
  await load.stop()
  const checked = await load.verify(adaptersOn(await pool()))
  figures.report(
    'restarts and crashes',
    `${checked} acknowledged rows looked up; first success ${Math.max(...gaps).toFixed(0)} ms after the server was back, at most`,
  )
})

test('terminated sessions: only writes that must not be repeated fail', { skip }, async () => {
  const figures = new Figures()
  // 57P01, or the system's error for the connection that the server closes afterwards.
  const codes = ['57P01', 'ECONNRESET', 'EPIPE']
  const load = new Load(await pool({ application_name: 'terminated' }), figures, {
    fails: ({ code }, what) => WRITES.has(what) && codes.includes(code),
  })
  await load.start()
  const admin = await pool()
  const end = performance.now() + 2_000 + (SOAK_MINUTES * 60_000) / 4
  while (performance.now() < end) {
    const { rowCount } = await admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'terminated'",
    )
    figures.faults += rowCount ?? 0
    // On a slow machine the sessions would be terminated again before any of them has served a call.
    const from = performance.now()
    await until('work that succeeds again', () => load.lastSuccess > from)
    await sleep(150)
  }
  await load.stop()
  await load.verify(adaptersOn(await pool()))
  figures.report('terminated sessions')
})

test('a session that is terminated while it is being set up is replaced, and no call fails', { skip }, async (t) => {
  const { url } = await restartable()
  const { hostname, port } = new URL(url)
  const text = 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'
  const fatal = Buffer.from(`E\0\0\0${String.fromCharCode(text.length + 4)}${text}`, 'latin1')
  let connections = 0
  const proxy = net.createServer((client) => {
    client.on('error', () => {})
    if (++connections === 1) return client.once('data', () => client.end(fatal))
    const upstream = net.connect(Number(port), hostname).on('error', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', () => resolve(undefined)))
  t.after(() => proxy.close())
  const through = new URL(url)
  through.port = String(/** @type {net.AddressInfo} */ (proxy.address()).port)
  const { main } = adaptersOn(await pool({ connectionString: through.href }))
  await Promise.all([main.get('terminated'), main.set('terminated', 1), main.recordFailure('terminated', 9)])
  assert.equal(await main.get('terminated'), 1)
  assert.ok(connections > 1)
})

test('no connection left (53300): connected pools continue, others receive the error and are served later', {
  skip,
}, async () => {
  const figures = new Figures()
  const { url } = await restartable()
  const working = new Load(await pool(), figures, { fails: () => false })
  await working.start()
  const strangers = await fillUp(url)
  figures.faults++
  const late = adaptersOn(await pool()).main
  for (let n = 0; n < 20; n++) {
    const error = await late.set(`late${n}`, n).then(
      () => undefined,
      (thrown) => thrown,
    )
    figures.operations++
    if (error?.code !== '53300') figures.violation(`the call did not receive 53300: ${error}`)
    else figures.error(error, 'set')
  }
  const burst = await Promise.allSettled(Array.from({ length: 300 }, (_, n) => working.on.main.set(`burst${n}`, n)))
  figures.operations += burst.length
  for (const one of burst) if (one.status === 'rejected') figures.violation(`in the burst: ${one.reason.stack}`)
  // Meanwhile an extend keeps retrying.
  const owned = await working.on.main.acquire('53300', 60_000, 'me')
  const extended = late.extend('53300', 60_000, 'me')
  await sleep(200)
  await Promise.all(strangers.map((client) => client.end()))
  if ((await extended) !== true) figures.violation('the extend was not patient')
  await owned?.release()
  await until('the late one is served', () =>
    late.set('late', 1).then(
      () => true,
      () => false,
    ),
  )
  await working.stop()
  await working.verify(adaptersOn(await pool()))
  figures.report('no connection left')
})

/** @param {string} url */
async function fillUp(url) {
  /** @type {pg.Client[]} */
  const strangers = []
  for (;;) {
    const client = new pg.Client({ connectionString: url, user: 'stranger', password: 'x' })
    client.on('error', () => {})
    if (strangers.length === 0) await makeRole(url)
    try {
      await client.connect()
      strangers.push(client)
    } catch (error) {
      // The superuser's reserve is still available to us, so it has to be used up, too.
      if (/** @type {any} */ (error).code !== '53300') throw error
      break
    }
  }
  for (;;) {
    const client = new pg.Client(url)
    client.on('error', () => {})
    try {
      await client.connect()
      strangers.push(client)
    } catch (error) {
      if (/** @type {any} */ (error).code !== '53300') throw error
      return strangers
    }
  }
}

/** @param {string} url */
async function makeRole(url) {
  const client = new pg.Client(url)
  await client.connect()
  await client.query("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'x'")
  await client.end()
}

test('read-only for a while (25006): reads succeed, writes fail, and succeed afterwards', { skip }, async () => {
  const figures = new Figures()
  const admin = await pool()
  const isRead = (/** @type {any} */ error) => error.code === '25006'
  const load = new Load(await pool(), figures, { fails: isRead })
  await load.start()
  await set('on')
  figures.faults++
  const { main } = adaptersOn(await pool())
  await until('a write is refused', () =>
    main.set('read-only', 1).then(
      () => false,
      (error) => error.code === '25006',
    ),
  )
  assert.equal(await main.has('fixed'), false)
  await sleep(500)
  await set('off')
  const back = performance.now()
  await until('a write', () =>
    main.set('read-only', 2).then(
      () => true,
      () => false,
    ),
  )
  await until('calls succeed again', () => load.lastSuccess > back)
  await load.stop()
  await load.verify(adaptersOn(await pool()))
  figures.report('a read-only server')

  async function set(/** @type {string} */ value) {
    // In a session that the setting itself does not block.
    await admin.query('SET default_transaction_read_only = off')
    await admin.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`)
    await admin.query('SELECT pg_reload_conf()')
  }
})
