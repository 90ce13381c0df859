// @ts-check
// @configurations first, last
// Nothing grows: neither memory over many operations, nor memory, descriptors and threads over many connects and
// disconnects. Brief by default; GOSCOPE_LEAK_OPERATIONS and GOSCOPE_LEAK_CYCLES make it long.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { useDatabase } = require('../support/database.js')
const { runScript } = require('../support/script.js')
const { extent } = require('../support/variants.js')

const skip = process.platform === 'linux' ? false : 'descriptors and threads are counted in /proc'
const database = useDatabase()

const OPERATIONS = Number(process.env.GOSCOPE_LEAK_OPERATIONS ?? extent(60_000, 30_000))
const CYCLES = Number(process.env.GOSCOPE_LEAK_CYCLES ?? 200)

/** A process that takes longer than this hangs. */
const LIFETIME_MS = 120_000 + (OPERATIONS + CYCLES * 100) * 5

/** The growth that the garbage collector, the allocator and a noisy neighbour may cause without a leak. */
const NOISE_MB = 40

/** Available in the scripts: what the process holds, after everything that can be collected has been collected. */
const AT_HAND = `
  const holds = async () => {
    let bytes = Infinity
    for (let n = 0; n < 4; n++) {
      gc()
      await sleep(20)
      // Without the memory that V8 keeps in reserve, which depends on the load: with pg alone it grows more.
      const { rss, heapTotal, heapUsed } = process.memoryUsage()
      bytes = Math.min(bytes, rss - heapTotal + heapUsed)
    }
    const count = (what) => fs.readdirSync('/proc/self/' + what).length
    return { mb: bytes / 2 ** 20, descriptors: count('fd'), threads: count('task') }
  }`

/**
 * @param {string} title
 * @param {{ before: Held, after: Held, done: number, seconds: number }} figures
 *
 * @typedef {{ mb: number, descriptors: number, threads: number }} Held
 */
function print(title, { before, after, done, seconds }) {
  const from = (/** @type {keyof Held} */ what) => `${before[what].toFixed(0)} → ${after[what].toFixed(0)}`
  console.log(
    `# figure: ${done} ${title} in ${seconds.toFixed(1)} s: ${from('mb')} MB, ${from('descriptors')} descriptors, ${from('threads')} threads`,
  )
}

test('memory is flat over many operations of every kind', { skip }, async () => {
  const { url } = await database
  const [figures] = await runScript(
    url,
    `${AT_HAND}
    const cache = new PostgresCacheAdapter(pool)
    const results = new PostgresIdempotencyAdapter(pool)
    const kinds = [
      (n) => adapter.set('k' + (n % 500), { n, text: 'x'.repeat(n % 300) }),
      (n) => adapter.get('k' + (n % 700)),
      async (n) => { const handle = await adapter.acquire('l' + (n % 100), 60_000); await handle?.release() },
      (n) => adapter.recordFailure('c' + (n % 50), 1e6),
      (n) => adapter.getState('c' + (n % 60)),
      (n) => adapter.save({ id: 'i' + (n % 100), taskId: 't' + (n % 10), sequence: n, timestamp: n, progress: 1, data: n }),
      (n) => adapter.loadLatest('t' + (n % 10)),
      (n) => cache.set('k' + (n % 300), n, 60_000),
      (n) => cache.get('k' + (n % 400)),
      (n) => results.set('k' + (n % 300), [undefined, n], 60_000),
      (n) => results.get('k' + (n % 400)),
      (n) => adapter.set('bad', '\\0').catch(() => {}), // errors of the server, too
      (n) => adapter.acquire('bad', -1).catch(() => {}),
    ]
    let done = 0
    const run = async (operations) => {
      const end = done + operations
      while (done < end) {
        // Mostly many at a time, and sometimes few, which take another route.
        const together = done % 8192 < 7000 ? 256 : 4
        await Promise.all(Array.from({ length: Math.min(together, end - done) }, () => kinds[done++ % kinds.length](done)))
      }
    }
    await Promise.all([adapter.connect(), cache.initialize(), results.connect()])
    const started = performance.now()
    await run(Math.min(input.operations / 3, 100_000))
    const before = await holds()
    await run(input.operations - done)
    const after = await holds()
    say({ before, after, done, seconds: (performance.now() - started) / 1e3 })
    await adapter.disconnect()`,
    { flags: ['--expose-gc'], input: { operations: OPERATIONS }, lifetime: LIFETIME_MS },
  )
  print('operations', figures)
  const { before, after } = figures
  assert.ok(after.mb - before.mb < NOISE_MB, `${before.mb} MB have become ${after.mb}`)
  assert.ok(after.descriptors <= before.descriptors + 8, 'the pool has its connections, and each connection a watcher')
  assert.ok(after.threads <= before.threads + 1)
})

test('memory, descriptors and threads are flat over many connects and disconnects', { skip }, async () => {
  const { url } = await database
  const [figures] = await runScript(
    url,
    `${AT_HAND}
    let done = 0
    const cycle = async () => {
      const source = done % 3 === 0 ? url : new pg.Pool({ connectionString: url, max: 2 })
      const one = new PostgresAdapter(source, { keyPrefix: 'cycle:' })
      await one.connect()
      await one.set('k', done)
      // With calls of both kinds in flight.
      if (done % 2) void one.get('k')
      if (done % 10 === 0) for (let n = 0; n < 100; n++) void one.get('k' + n)
      await one.disconnect()
      done++
    }
    const started = performance.now()
    for (let n = 0; n < input.cycles / 3; n++) await cycle()
    const before = await holds()
    for (let n = 0; n < input.cycles * 2 / 3; n++) await cycle()
    // A socket that has ended may be closed a moment later. A leak is two sockets a cycle, which are never closed.
    let after = await holds()
    for (let wait = 0; wait < 200 && after.descriptors > before.descriptors; wait++) after = await holds()
    say({ before, after, done, seconds: (performance.now() - started) / 1e3 })`,
    { flags: ['--expose-gc'], input: { cycles: CYCLES }, lifetime: LIFETIME_MS },
  )
  print('connects and disconnects', figures)
  const { before, after } = figures
  assert.ok(after.mb - before.mb < NOISE_MB, `${before.mb} MB have become ${after.mb}`)
  assert.ok(
    after.descriptors <= before.descriptors + 4,
    `${before.descriptors} descriptors have become ${after.descriptors}`,
  )
  assert.ok(after.threads <= before.threads, `${before.threads} threads have become ${after.threads}`)
})
