// @ts-check
// @configurations first, last
// Worker threads, connections and pools that end while an event loop watches their sockets: no crash, no descriptor
// left open, and no change to a foreign descriptor.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { useDatabase } = require('../support/database.js')
const { runScript } = require('../support/script.js')
const { extent } = require('../support/variants.js')

const skip = process.platform === 'linux' ? false : 'descriptors and threads are counted in /proc'
const database = useDatabase()

/** How many threads of each kind are terminated. */
const ROUNDS = Number(process.env.GOSCOPE_THREAD_ROUNDS ?? extent(4, 2))
/** How often the connections are cut. */
const CUTS = extent(40, 20)
/** So many processes drop their pools at once: a descriptor leaks only if a thread is late. */
const FORGETFUL = extent(6, 3)
const LIFETIME_MS = 120_000 + ROUNDS * 5_000

/** Available in each script: what the process holds, and threads that use the package. */
const AT_HAND = `
  const { Worker } = require('node:worker_threads')
  const count = (what) => fs.readdirSync('/proc/self/' + what).length
  const sockets = () => fs.readdirSync('/proc/self/fd').filter((fd) => {
    try { return fs.readlinkSync('/proc/self/fd/' + fd).startsWith('socket:') } catch { return false }
  }).length
  const thread = (body) => {
    const code = \`
      const { parentPort, workerData: url } = require('node:worker_threads')
      const pg = require('pg')
      const { PostgresAdapter } = require('goscope-postgres')
      const adapter = new PostgresAdapter(new pg.Pool({ connectionString: url, max: 2 }))
      ;(async () => {\${body}})()\`
    const worker = new Worker(code, { eval: true, workerData: url })
    worker.ended = new Promise((resolve) => worker.once('exit', resolve))
    worker.received = new Promise((resolve) => worker.once('message', resolve))
    worker.on('error', (error) => { console.error(error); process.exit(99) })
    return worker
  }
  await adapter.connect()
  await adapter.get('x')`

/** What a thread does until it is terminated. */
const LIVES = {
  'one call at a time': "parentPort.postMessage(1); for (let n = 0; ; n++) await adapter.set('t', n)",
  'a few at a time':
    "parentPort.postMessage(1); for (;;) await Promise.all(Array.from({ length: 20 }, (_, n) => adapter.set('t' + n, n)))",
  'many at a time':
    "parentPort.postMessage(1); for (;;) await Promise.all(Array.from({ length: 300 }, (_, n) => adapter.set('t' + n, n)))",
  'idle, with its connections open': "await adapter.get('x'); parentPort.postMessage(1); setInterval(() => {}, 1e6)",
  'connecting for ever':
    "parentPort.postMessage(1); for (;;) { const one = new PostgresAdapter(url); await one.get('x'); void one.disconnect() }",
  'blocked, with calls in flight': `
    await adapter.get('x')
    for (let n = 0; n < 8; n++) void adapter.set('b' + n, n)
    await null
    parentPort.postMessage(1)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)`,
  'a large value under way': `
    const large = 'x'.repeat(4 << 20)
    await adapter.get('x')
    parentPort.postMessage(1)
    for (;;) await adapter.set('large', large)`,
}

for (const [life, body] of Object.entries(LIVES)) {
  test(`threads terminated: ${life}`, { skip }, async () => {
    const [figures] = await runScript(
      (await database).url,
      `${AT_HAND}
      const before = { sockets: sockets() }
      let rounds = 0
      for (; rounds < input.rounds; rounds++) {
        const threads = [thread(input.body), thread(input.body)]
        await Promise.all(threads.map(({ received }) => received))
        const own = adapter.set('own', rounds)
        await sleep((rounds % 10) * 7)
        await Promise.all(threads.map((each) => each.terminate()))
        await own
        if ((await adapter.get('own')) !== rounds) throw new Error('the main thread lost a write')
      }
      await until(() => sockets() <= before.sockets)
      say({ rounds })
      await adapter.disconnect()`,
      { input: { body, rounds: ROUNDS }, lifetime: LIFETIME_MS },
    )
    assert.equal(figures.rounds, ROUNDS)
  })
}

test('threads end by themselves with calls in flight, by return, by exit and by an error', { skip }, async () => {
  const said = await runScript(
    (await database).url,
    `${AT_HAND}
    const before = sockets()
    for (const end of ['', 'process.exit(3)', 'await adapter.get("x"); process.exit(3)']) {
      for (let round = 0; round < 5; round++) {
        const one = thread('for (let n = 0; n < 5; n++) void adapter.set("e" + n, n);' + end)
        say(await one.ended)
      }
    }
    await until(() => sockets() <= before)
    await adapter.disconnect()`,
  )
  assert.deepEqual(said, [...Array(5).fill(0), ...Array(10).fill(3)])
})

test('connections cut while idle; their descriptors are reused at once, and nothing is lost', { skip }, async () => {
  const [figures] = await runScript(
    (await database).url,
    `${AT_HAND}
    const net = require('node:net')
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    const echo = net.createServer((socket) => socket.on('error', () => {}).pipe(socket))
    await new Promise((listening) => echo.listen(0, '127.0.0.1', listening))
    let echoed = 0
    const cut = () => admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut'")
    for (let round = 0; round < input.rounds; round++) {
      // One call takes the on-loop route, many take the worker's. So both kinds of watcher are cut.
      await Promise.all(Array.from({ length: round % 2 ? 1 : 200 }, (_, n) => adapter.set('k' + n, round)))
      const cutting = cut()
      if (round % 3) await cutting
      const files = Array.from({ length: 20 }, () => fs.openSync('/dev/null', 'r'))
      const peers = Array.from({ length: 5 }, () => net.connect(echo.address().port, '127.0.0.1'))
      await Promise.all(peers.map((peer, n) => new Promise((resolve, reject) => {
        peer.on('error', reject)
        peer.once('data', (data) => { if (String(data) === 'peer' + n) echoed++; resolve() })
        peer.write('peer' + n)
      })))
      await cutting
      if ((await adapter.get('k0')) !== round) throw new Error('an acknowledged write is gone')
      for (const file of files) fs.closeSync(file)
      for (const peer of peers) peer.destroy()
    }
    say({ echoed, sockets: sockets() })
    echo.close()
    await admin.end()
    await adapter.disconnect()`,
    { application: 'cut', input: { rounds: CUTS } },
  )
  assert.equal(figures.echoed, 5 * CUTS)
  // At most the pool's four, each with the watcher's descriptor, the administrator's, the listener's, and closing ones.
  assert.ok(figures.sockets < 30, `${figures.sockets} sockets`)
})

test('pools that are used and dropped are garbage-collected with their connections', { skip }, async () => {
  const { url } = await database
  const forgetful = () =>
    runScript(
      url,
      `${AT_HAND}
      const before = { sockets: sockets(), tasks: count('task') }
      let most = 0
      // A separate function: a loop would keep a reference to the last pool.
      const forget = async (n) => {
        const one = new PostgresAdapter(n % 2 ? url : new pg.Pool({ connectionString: url }))
        await Promise.all(Array.from({ length: n % 3 ? 1 : 100 }, () => one.get('x')))
        if (n % 4 === 0) void one.set('unheard', n) // collected with a call in flight
      }
      for (let n = 0; n < 60; n++) {
        await forget(n)
        most = Math.max(most, sockets())
        if (n % 10 === 9) { await sleep(0); gc() }
      }
      await until(() => { gc(); return sockets() <= before.sockets })
      say({ most, tasks: count('task') - before.tasks })
      await adapter.disconnect()`,
      { flags: ['--expose-gc'] },
    )
  const all = (await Promise.all(Array.from({ length: FORGETFUL }, forgetful))).flat()
  const most = Math.max(...all.map((figures) => figures.most))
  console.log(
    `# figure: 60 forgotten pools in each of ${FORGETFUL} processes: ${most} sockets at the most, none left after they were collected`,
  )
  for (const { tasks } of all) assert.ok(tasks <= 1, `${tasks} threads more`)
})
