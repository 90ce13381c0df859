// @ts-check
// @configurations first
// Under jest, the package's JavaScript runs in a vm context, and the addon outside of it. All results must belong to
// the context, because `instanceof` and `toStrictEqual` compare prototypes.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const v8 = require('node:v8')
const vm = require('node:vm')
const pg = require('pg')
const { useDatabase } = require('../support/database.js')

const root = path.join(__dirname, '../..')
const database = useDatabase()

/** Loads the package like jest: its modules are compiled in the context, everything else comes from outside. */
function loadIn(/** @type {vm.Context} */ context) {
  /** @type {Map<string, any>} */
  const loaded = new Map()
  const load = (/** @type {string} */ file) => {
    const present = loaded.get(file)
    if (present) return present.exports
    const module = { exports: {} }
    loaded.set(file, module)
    const outside = createRequire(file)
    const require = (/** @type {string} */ name) =>
      name.startsWith('.') && !name.includes('native.js') ? load(outside.resolve(name)) : outside(name)
    const wrapper = `(function (require, module, exports, __dirname, __filename) {${fs.readFileSync(file, 'utf8')}\n})`
    vm.runInContext(wrapper, context, { filename: file })(require, module, module.exports, path.dirname(file), file)
    return module.exports
  }
  return load(path.join(root, 'index.js'))
}

test('promises, arrays, values and errors belong to the realm of the caller', async () => {
  const context = vm.createContext({ Buffer, process, URL, setTimeout, clearTimeout })
  const inside = (/** @type {string} */ code) => vm.runInContext(code, context)
  const { PostgresAdapter } = loadIn(context)
  assert.notEqual(inside('Error'), Error)
  const adapter = new PostgresAdapter((await database).pool({}), inside('({})'))

  const promise = adapter.set('x', inside('({ list: [1, { a: 2 }] })'))
  assert.equal(Object.getPrototypeOf(promise), inside('Promise.prototype'))
  await promise
  const value = await adapter.get('x')
  assert.equal(Object.getPrototypeOf(value), inside('Object.prototype'))
  assert.equal(Object.getPrototypeOf(value.list), inside('Array.prototype'))
  assert.equal(Object.getPrototypeOf(await adapter.keys()), inside('Array.prototype'))
  assert.equal(Object.getPrototypeOf(await adapter.list('t')), inside('Array.prototype'))
  const handle = await adapter.acquire('x', 1000)
  // What it inherits is no class's: comparisons take it for an object literal.
  assert.equal(handle.constructor, inside('Object'))
  assert.equal(Object.getPrototypeOf(Object.getPrototypeOf(handle)), inside('Object.prototype'))
  assert.equal(Object.getPrototypeOf(handle.isValid()), inside('Promise.prototype'))

  const failure = async (/** @type {Promise<unknown>} */ of) =>
    of.then(
      () => assert.fail(),
      (error) => error,
    )
  for (const [error, type] of [
    [await failure(adapter.get({})), 'TypeError'],
    [await failure(adapter.acquire('x', -1)), 'RangeError'],
    [await failure(adapter.set('x', 1n)), 'TypeError'],
    [await failure(new PostgresAdapter(new pg.Pool({ host: '127.0.0.1', port: 1 })).get('x')), 'Error'],
    [await failure(new PostgresAdapter(new pg.Pool({ host: 'no-such-host.invalid' })).get('x')), 'Error'],
  ]) {
    assert.ok(error instanceof inside(type), `${error.stack} is no ${type} of the context`)
  }
  // A server's error is an instance of the application's own DatabaseError, in any realm.
  assert.ok((await failure(adapter.set('x', '\0'))) instanceof pg.DatabaseError)
  await adapter.disconnect()
  assert.ok((await failure(adapter.get('x'))) instanceof inside('Error'))
})

test('several contexts in one environment, each with its own queue', async () => {
  const db = await database
  const adapters = Array.from({ length: 4 }, () => {
    const { PostgresAdapter } = loadIn(vm.createContext({ Buffer, process, URL }))
    return new PostgresAdapter(db.pool({ max: 2 }))
  })
  const counts = await Promise.all(
    Array.from({ length: 200 }, (_, n) => adapters[n % 4].recordFailure('contexts', 999)),
  )
  assert.equal(new Set(counts).size, 200)
})

test('a copy of the package is garbage-collected with its context, and not before', async () => {
  v8.setFlagsFromString('--expose-gc')
  const collectGarbage = vm.runInNewContext('gc')
  const db = await database
  const use = async () => {
    const context = vm.createContext({ Buffer, process, URL })
    const { PostgresAdapter } = loadIn(context)
    const adapter = new PostgresAdapter(db.pool({ max: 1 }))
    await adapter.get('nothing')
    for (let n = 0; n < 5; n++) {
      collectGarbage()
      await sleep(10)
      assert.equal(await adapter.get('nothing'), null)
    }
    await adapter.disconnect()
    return new WeakRef(context)
  }
  /** @type {WeakRef<vm.Context>[]} */
  const contexts = []
  for (let n = 0; n < 3; n++) contexts.push(await use())
  const areGone = () => contexts.every((context) => context.deref() === undefined)
  const end = Date.now() + 60_000
  while (!areGone() && Date.now() < end) {
    await sleep(20)
    collectGarbage()
  }
  assert.ok(areGone())
})
