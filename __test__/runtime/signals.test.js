// @ts-check
// @configurations first
// The AbortSignals that callers pass: of Node, and of polyfills without `reason` and `throwIfAborted`. One signal may
// serve many calls.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()

const TTL = { ttl: 60_000 }

/** Like a signal of the package `abort-controller`: an event target with `aborted`, and no more. */
class OldSignal {
  aborted = false
  /** @type {Set<Function>} */
  listeners = new Set()

  addEventListener(/** @type {string} */ type, /** @type {Function} */ listener) {
    assert.equal(type, 'abort')
    this.listeners.add(listener)
  }

  removeEventListener(/** @type {string} */ _, /** @type {Function} */ listener) {
    this.listeners.delete(listener)
  }

  abort() {
    this.aborted = true
    for (const listener of [...this.listeners]) listener.call(this, { type: 'abort', target: this })
  }
}

test('a signal without `throwIfAborted` and `reason` ends a wait, and prevents one that has not begun', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const held = await adapter.lock('old', TTL)
  const old = new OldSignal()
  const signal = /** @type {any} */ (old)
  const waits = Array.from({ length: 3 }, () => adapter.lock('old', { ...TTL, signal }))
  const outcomes = Promise.allSettled(waits)
  assert.equal(old.listeners.size, 1)
  old.abort()
  for (const outcome of await inTime('the end of the waits', outcomes)) {
    assert.equal(outcome.status, 'rejected')
    assert.equal(/** @type {any} */ (outcome).reason.name, 'AbortError')
  }
  assert.equal(old.listeners.size, 0)
  await assert.rejects(adapter.lock('old', { ...TTL, signal }), { name: 'AbortError' })
  await held.release()
  await adapter.disconnect()
})

test('50 waits with one signal add one listener, cause no warning, and leave nothing on the signal', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  /** @type {Error[]} */
  const warnings = []
  const warn = (/** @type {Error} */ warning) => warnings.push(warning)
  process.on('warning', warn)
  const controller = new AbortController()
  let listeners = 0
  const { signal } = controller
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (/** @type {any[]} */ ...given) => {
    listeners++
    return Reflect.apply(addEventListener, signal, given)
  }
  signal.removeEventListener = (/** @type {any[]} */ ...given) => {
    listeners--
    return Reflect.apply(removeEventListener, signal, given)
  }
  const held = await adapter.lock('many', { ...TTL, signal })
  const waits = Array.from({ length: 50 }, () => adapter.lock('many', { ...TTL, signal }))
  const outcomes = Promise.allSettled(waits)
  assert.equal(listeners, 1)
  // Ten of them are granted, and remove their callbacks.
  await held.release()
  for (const wait of waits.slice(0, 10)) await (await inTime('a lock', wait)).release()
  const last = await inTime('a lock', /** @type {Promise<any>} */ (waits[10]))
  assert.equal(listeners, 1)
  controller.abort(new Error('enough'))
  const ended = (await inTime('the end of the waits', outcomes)).slice(11)
  assert.ok(ended.every((outcome) => outcome.status === 'rejected' && outcome.reason.message === 'enough'))
  assert.equal(listeners, 0)
  await last.release()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', warn)
  assert.deepEqual(warnings, [])
  await adapter.disconnect()
})

for (const title of ['run', 'getOrSet']) {
  test(`50 calls of ${title} with one signal add one listener, and an old signal ends them`, async () => {
    const pool = (await database).pool()
    const [adapter, results] = [new PostgresAdapter(pool), new PostgresIdempotencyAdapter(pool)]
    const start = (/** @type {() => unknown} */ work, options = {}) =>
      title === 'run' ? results.run('many', work, options) : adapter.getOrSet('many', work, options)
    const [gate, begun] = [deferred(), deferred()]
    const first = start(() => {
      begun.resolve(undefined)
      return gate.promise
    })
    await inTime('the work', begun.promise)
    const old = new OldSignal()
    const never = () => assert.fail('worked twice')
    const waits = Array.from({ length: 50 }, () => start(never, { signal: /** @type {any} */ (old) }))
    const outcomes = Promise.allSettled(waits)
    assert.equal(old.listeners.size, 1)
    old.abort()
    for (const outcome of await inTime('the end of the waits', outcomes)) {
      assert.equal(/** @type {any} */ (outcome).reason?.name, 'AbortError')
    }
    assert.equal(old.listeners.size, 0)
    gate.resolve(1)
    assert.equal(await first, 1)
    await adapter.disconnect()
  })
}

function deferred() {
  /** @type {(value: unknown) => void} */
  let resolve = () => {}
  const promise = new Promise((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
