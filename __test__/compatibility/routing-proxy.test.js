// @ts-check
// @configurations first
// A proxy that sends reads to a standby that lags behind: no read of ours goes there.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const net = require('node:net')
const { after, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { OPERATIONS, adaptersOn } = require('../support/operations.js')
const { startReplication } = require('../support/replication.js')
const { missing, startRoutingProxy } = require('../support/routing-proxy.js')

// If it can be installed, it must be installed.
const skip = process.env.CI === 'true' ? false : missing || false

const started = skip ? undefined : start()
after(async () => (await started)?.stop())

/** The standby has the tables, and the rows that were written to them until then. */
async function start() {
  const replication = await startReplication()
  const { primary, standby } = replication
  const proxy = await startRoutingProxy(primary, standby)
  const made = adapters(primary.url)
  await made.adapter.connect()
  await made.cache.initialize()
  await made.results.connect()
  await made.end()
  await standby.query("ALTER SYSTEM SET log_statement = 'all'")
  await standby.query('SELECT pg_reload_conf()')
  await replication.caughtUp()
  await standby.query('SELECT pg_wal_replay_pause()')
  const stop = async () => {
    await proxy.stop()
    await replication.stop()
  }
  return { primary, standby, proxy, stop }
}

/** Every test awaits what runs before the tests of a file. */
const servers = () => /** @type {NonNullable<typeof started>} */ (started)

/** @param {string} url */
function adapters(url) {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  pool.on('error', () => {})
  return {
    adapter: new PostgresAdapter(pool),
    cache: new PostgresCacheAdapter(pool),
    results: new PostgresIdempotencyAdapter(pool),
    end: () => pool.end(),
  }
}

/** The statements on our tables that the standby received. @param {{ folder: string }} standby */
const askedOf = ({ folder }) =>
  fs
    .readFileSync(`${folder}.log`, 'utf8')
    .split('\n')
    .filter((line) => /go_goscope_|"cache"/.test(line))

test('the proxy sends reads to the standby, where they find old rows', { skip }, async () => {
  const { primary, proxy, standby } = await servers()
  await primary.query("INSERT INTO go_goscope_cache (key, value) VALUES ('cache:control', '1')")
  const client = new pg.Client(proxy.url)
  await client.connect()
  const { rows } = await client.query("SELECT FROM go_goscope_cache WHERE key = 'cache:control'")
  await client.end()
  assert.equal(rows.length, 0)
  assert.equal(askedOf(standby).length, 1)
})

test('every operation reads earlier writes, and sends the standby nothing', { skip }, async () => {
  const { proxy, standby } = await servers()
  const before = askedOf(standby).length
  const [one, two] = [adapters(proxy.url), adapters(proxy.url)]
  await one.adapter.connect()

  await one.adapter.setState('c', { state: 'open', failureCount: 3 })
  assert.equal((await two.adapter.getState('c'))?.state, 'open')
  const checkpoint = { id: 'id', taskId: 'task', sequence: 1, timestamp: 1, progress: 1, data: 'saved' }
  await one.adapter.save(checkpoint)
  assert.equal((await two.adapter.load('id'))?.data, 'saved')
  assert.equal((await two.adapter.loadLatest('task'))?.data, 'saved')
  assert.equal((await two.adapter.list('task')).length, 1)
  await one.adapter.set('k', 'value')
  assert.equal(await two.adapter.get('k'), 'value')
  assert.equal(await two.adapter.has('k'), true)
  assert.deepEqual(await two.adapter.keys('k'), ['k'])
  await one.cache.set('own', 1)
  assert.equal((await two.cache.stats()).size, 1)
  await one.results.set('r', 1)
  assert.deepEqual((await two.results.get('r'))?.value, 1)
  const held = await one.adapter.acquire('busy', 60_000, 'me')
  assert.equal(await two.adapter.acquire('busy', 60_000, 'you'), null)
  assert.equal((await two.adapter.holder('busy'))?.owner, 'me')
  assert.equal(await held?.isValid(), true)

  // Calls that share statements, and calls that are alone.
  const on = adaptersOn(new pg.Pool({ connectionString: proxy.url }))
  for (const operation of OPERATIONS) {
    const keys = [`${operation.name} 1`, `${operation.name} 2`]
    for (const key of keys) await operation.seed?.(on, key)
    const calls = await Promise.all(keys.map((key) => operation.ready(on, key)))
    await Promise.all(calls.map((call) => call())).catch((error) => assert.fail(`${operation.name}: ${error}`))
  }
  await Promise.all([one.end(), two.end(), on.main.disconnect()])
  assert.deepEqual(askedOf(standby).slice(before), [])
})

test('calls on a client of the application, too, are answered by the primary', { skip }, async () => {
  const { proxy, standby } = await servers()
  const before = askedOf(standby).length
  const { adapter, end } = adapters(proxy.url)
  const client = new pg.Client(proxy.url)
  await client.connect()
  const within = adapter.within(client)
  await adapter.set('within', 'value')
  assert.equal(await within.get('within'), 'value')
  await adapter.setState('within', { state: 'open', failureCount: 3 })
  assert.equal((await within.getState('within'))?.state, 'open')
  assert.equal(await within.increment('counter'), 1)
  await within.set('written', 1)
  assert.deepEqual(await within.getMany(['written', 'within']), [1, 'value'])
  await client.end()
  await end()
  assert.deepEqual(askedOf(standby).slice(before), [])
})

test('run() runs its work once, getOrSet() computes once, and a waiter acquires the lock', { skip }, async (t) => {
  const { proxy } = await servers()
  const all = Array.from({ length: 4 }, () => adapters(proxy.url))
  let [runs, computed] = [0, 0]
  const work = async () => {
    runs++
    await new Promise((resolve) => setTimeout(resolve, 50))
    return 'done'
  }
  assert.deepEqual(
    await Promise.all(all.map(({ results }) => results.run('once', work))),
    all.map(() => 'done'),
  )
  await Promise.all(all.map(({ adapter }) => adapter.getOrSet('computed', () => ++computed)))
  await Promise.all(
    all.map(async ({ adapter }) => {
      const lock = await adapter.lock('waited', { ttl: 60_000 })
      await lock.release()
    }),
  )
  await Promise.all(all.map(({ end }) => end()))
  t.diagnostic(
    `figure: 4 processes’ worth of run() behind a proxy to a standby that is behind: the work ran ${runs} times`,
  )
  assert.deepEqual([runs, computed], [1, 1])
})

test('a change of a breaker reaches its subscribers', { skip }, async () => {
  const { proxy } = await servers()
  const [one, two] = [adapters(proxy.url), adapters(proxy.url)]
  const changed = new Promise((resolve) => one.adapter.subscribe('subscribed', ({ state }) => resolve(state)))
  await one.adapter.getState('subscribed')
  await two.adapter.setState('subscribed', { state: 'open', failureCount: 1 })
  assert.equal(await changed, 'open')
  await Promise.all([one.end(), two.end()])
})

/** What doctor reports on the routing, and its exit code. @param {string} url */
async function examine(url) {
  const { code, stdout } = await runCommand(['doctor', '--json'], { DATABASE_URL: url })
  const { checks } = JSON.parse(stdout)
  const find = (/** @type {string} */ title) => checks.find((/** @type {any} */ { name }) => name === title)?.status
  return { code, routing: find('routing'), writes: find('writes') }
}

test('doctor warns of a proxy that routes reads, and fails if sessions reach several servers', {
  skip,
}, async () => {
  const { proxy, primary, standby } = await servers()
  assert.deepEqual(await examine(primary.url), { code: 0, routing: 'ok', writes: 'ok' })
  assert.deepEqual(await examine(proxy.url), { code: 0, routing: 'warning', writes: 'ok' })
  assert.equal((await examine(standby.url)).code, 1)

  // Like a balancer of connections: each connection goes to the next server in turn.
  let number = 0
  const balancer = net.createServer((client) => {
    const server = net.connect(number++ % 2 === 0 ? primary.port : standby.port, '127.0.0.1')
    client.pipe(server).pipe(client)
    for (const socket of [client, server]) socket.on('error', () => [client, server].map((each) => each.destroy()))
  })
  await new Promise((resolve) => balancer.listen(0, '127.0.0.1', () => resolve(undefined)))
  const url = new URL(primary.url)
  url.port = String(/** @type {net.AddressInfo} */ (balancer.address()).port)
  const { code, routing, writes } = await examine(url.href)
  assert.equal(code, 1)
  assert.ok(routing === 'failed' || writes === 'failed')
  balancer.close()
})

test('the command reads from the primary', { skip }, async () => {
  const { proxy, primary, standby } = await servers()
  await primary.query("INSERT INTO go_goscope_circuit (key, state) VALUES ('circuit:seen', 'open')")
  const before = askedOf(standby).length
  const { stdout } = await runCommand(['circuits'], { DATABASE_URL: proxy.url })
  assert.match(stdout, /seen/)
  for (const args of [['status'], ['locks'], ['cache'], ['checkpoints']]) {
    assert.equal((await runCommand(args, { DATABASE_URL: proxy.url })).code, 0, args.join())
  }
  assert.deepEqual(askedOf(standby).slice(before), [])
})
