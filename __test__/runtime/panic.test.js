// @ts-check
// @configurations last
// @without first: an addon that panics on purpose, which is built for this
// Native code that panics: a call rejects, a function that C calls is reported, and the process continues. The addon is
// built once more for this test, with functions that panic on purpose.
'use strict'

const assert = require('node:assert/strict')
const { test, after } = require('node:test')
const { useDatabase } = require('../support/database.js')
const { buildProbeAddon, runWithProbe } = require('../support/probe-addon.js')

const database = useDatabase()
const built = buildProbeAddon(after)
built.catch(() => {}) // each test reports it

/**
 * @param {string} body
 * @param {Parameters<typeof runWithProbe>[3]} [options]
 */
async function script(body, options) {
  return runWithProbe(await built, (await database).url, body, options)
}

test('in the native runtime: the call rejects, other calls continue, nothing is printed', async () => {
  const { stdout, stderr } = await script(`
    await adapter.set('x', 1)
    const around = Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set('k' + n, n)))
    const error = await call((slot) => probe.panicInCall(bridge, slot)).catch((caught) => caught)
    await around
    console.log(JSON.stringify([error instanceof Error, error.code, /on purpose/.test(error.message), await adapter.get('x')]))`)
  assert.deepEqual(JSON.parse(stdout), [true, 'ERR_INTERNAL_ASSERTION', true, 1])
  assert.equal(stderr, '')
})

test('on the JavaScript thread: the call rejects', async () => {
  const { stdout } = await script(`
    const error = await call((slot) => probe.panicOnJsThread(slot)).catch((caught) => caught)
    await adapter.set('x', 2)
    console.log(JSON.stringify([error instanceof Error, /on purpose/.test(error.message), await adapter.get('x')]))`)
  assert.deepEqual(JSON.parse(stdout), [true, true, 2])
})

/** Only calls that many are answered by the runtime's worker, which wakes the event loop. */
const MANY = 600

/**
 * What has C call each of the functions. `panics` has its next run panic.
 *
 * @type {Record<string, { body: string, options?: Parameters<typeof runWithProbe>[3] }>}
 */
const CALLED_BY_C = {
  on_ready: { body: "panics('on_ready'); await few()" },
  on_wakeup: { body: "panics('on_wakeup'); await many()" },
  call: {
    body: "panics('call'); await few()",
    // A runtime that has no libuv gets a threadsafe function.
    options: { before: "Object.defineProperty(process.versions, 'bun', { value: '1.0.0' })" },
  },
  close: { body: "panics('close'); await adapter.disconnect()" },
  on_closed: { body: "panics('on_closed'); await adapter.disconnect()" },
  clean_up: { body: "await adapter.disconnect(); panics('clean_up')" },
  finalize: { body: "await adapter.disconnect(); panics('finalize')" },
  'the finalizer of Pool': { body: "await adapter.disconnect(); panics('the finalizer of Pool')" },
}

for (const [name, { body, options }] of Object.entries(CALLED_BY_C)) {
  test(`in a function that C calls, ${name}: it is reported, and every call settles`, async () => {
    const { stdout, stderr } = await script(
      `
      const panics = (name) => probe.panicInCallback(name)
      const few = async () => { for (let n = 0; n < 20; n++) { await adapter.set('few', n); check(await adapter.get('few'), n) } }
      const many = async () => {
        await Promise.all(Array.from({ length: ${MANY} }, (_, n) => adapter.set('many' + n, n)))
        const found = await Promise.all(Array.from({ length: ${MANY} }, (_, n) => adapter.get('many' + n)))
        found.forEach(check)
      }
      let checked = 0
      const check = (found, expected) => { require('node:assert/strict').equal(found, expected); checked++ }
      await few()
      await many()
      ${body}
      if (!${JSON.stringify(body)}.includes('disconnect')) {
        await few()
        await many()
        await adapter.disconnect()
      }
      console.log(checked)`,
      options,
    )
    assert.ok(Number(stdout) >= 20 + MANY, stdout)
    const lines = stderr.trimEnd().split('\n')
    assert.equal(
      lines.filter((line) => line.startsWith(`goscope-postgres: internal error in ${name}, `)).length,
      1,
      stderr,
    )
    assert.match(stderr, /a panic on purpose/)
  })
}
