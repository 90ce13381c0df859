// @ts-check
// @configurations every
// A value is stored as JSON.stringify writes it and returned as JSON.parse reads it, for every provider that stores
// values.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

/**
 * @typedef {object} Provider
 * @property {string} title
 * @property {string} table
 * @property {(key: string, value: any) => Promise<void>} write
 * @property {(key: string) => Promise<{ value: any } | null>} read
 */

/** @type {Promise<Provider[]>} */
const providers = (async () => {
  const pool = (await database).pool()
  const adapter = new PostgresAdapter(pool)
  const cache = new PostgresCacheAdapter(pool)
  const results = new PostgresIdempotencyAdapter(pool)
  await Promise.all([adapter.connect(), cache.initialize(), results.connect()])
  const checkpoint = (/** @type {string} */ id, /** @type {any} */ data) => ({
    id,
    taskId: 'values',
    sequence: 1,
    timestamp: 1,
    progress: 1,
    data,
  })
  return [
    {
      title: 'PostgresAdapter.set',
      table: 'go_goscope_cache',
      write: (key, value) => adapter.set(key, value),
      read: async (key) => ((await adapter.has(key)) ? { value: await adapter.get(key) } : null),
    },
    {
      title: 'PostgresCacheAdapter.set',
      table: 'cache',
      write: (key, value) => cache.set(key, value),
      read: async (key) => ((await cache.has(key)) ? { value: await cache.get(key) } : null),
    },
    {
      title: 'PostgresAdapter.save',
      table: 'go_goscope_checkpoints',
      write: (key, value) => adapter.save(checkpoint(key, value)),
      read: async (key) => {
        const found = await adapter.load(key)
        return found ? { value: found.data } : null
      },
    },
    {
      title: 'PostgresIdempotencyAdapter.set',
      table: 'go_goscope_idempotency',
      write: (key, value) => results.set(key, value),
      read: (key) => results.get(key),
    },
  ]
})()

/** A test per provider. */
function forEachProvider(/** @type {string} */ promise, /** @type {(provider: Provider) => Promise<void>} */ check) {
  for (const at of [0, 1, 2, 3]) {
    const title = [
      'PostgresAdapter.set',
      'PostgresCacheAdapter.set',
      'PostgresAdapter.save',
      'PostgresIdempotencyAdapter.set',
    ][at]
    test(`${title}: ${promise}`, async () => {
      const provider = (await providers)[at]
      assert.equal(provider.title, title)
      await check(provider)
    })
  }
}

/** Every value is returned as `JSON.parse(JSON.stringify(value))`, under a plain key and under one that is too long. */
async function roundTrips(
  /** @type {Provider} */ { write, read },
  /** @type {string} */ name,
  /** @type {any[]} */ values,
) {
  const keys = values.map((_, n) => (n % 4 === 3 ? `${name}:${n}`.padEnd(3_000, '.') : `${name}:${n}`))
  await Promise.all(values.map((value, n) => write(keys[n], value)))
  const found = await Promise.all(keys.map(read))
  for (const [n, value] of values.entries()) {
    assert.deepEqual(found[n], { value: JSON.parse(JSON.stringify(value)) }, `${name} ${n}`)
  }
}

const { EPSILON, MAX_SAFE_INTEGER, MAX_VALUE, MIN_SAFE_INTEGER, MIN_VALUE } = Number
// biome-ignore format: one line each would be a page
const NUMBERS = [
  0, -0, 1, -1, 0.1, 0.1 + 0.2, 4.35, 1 / 3, -2 / 3, 0.000001, 1e-7, 1e16, 1e21, -1e21, 1.5e300, 123456789.12345679,
  MAX_VALUE, -MAX_VALUE, MIN_VALUE, 5e-324, 2.2250738585072014e-308, EPSILON, 123456789012345680000,
  MAX_SAFE_INTEGER, MIN_SAFE_INTEGER, 2 ** 53, 2 ** 63, 2 ** 64,
]

forEachProvider('every number comes back exactly', async (provider) => {
  await roundTrips(provider, 'numbers', [
    ...NUMBERS,
    NUMBERS,
    NUMBERS.map((n) => ({ n: [n] })),
    Number.NaN,
    [Infinity, -Infinity],
  ])
})

forEachProvider('scalars, empty strings, arrays and objects', async (provider) => {
  await roundTrips(provider, 'scalars', [
    true,
    false,
    null,
    '',
    ' ',
    'text',
    'null',
    '"',
    '{}',
    [],
    {},
    [[]],
    [{}],
    { '': '' },
    { a: null },
  ])
})

// biome-ignore format: one line each would be a page
const STRINGS = [
  'naïve', 'ключ', '鍵', '🙂', '👩‍👩‍👧‍👦', 'e\u0301', '\u00e9', '\u{10ffff}', '\u{10000}', '\ufffd', '\uffff', '\ufeff',
  '\u2028\u2029', '\u202e', '"', "'", '\\', '\\\\', '\\u0000', '\\ud800', '\\n', '/', '\b\f\n\r\t\v',
  '\u0001\u001f\u007f\u0080', '%', '_', '$1', '{}', '{1,2}', "E'\\x00'", '--', ';',
]

forEachProvider('unicode and escapes, in strings and in property names', async (provider) => {
  await roundTrips(provider, 'strings', [...STRINGS, STRINGS, Object.fromEntries(STRINGS.map((text) => [text, text]))])
})

forEachProvider('what JSON.stringify makes of other objects', async (provider) => {
  class Point {
    x = 1
    #hidden = 2
    method() {
      return this.#hidden
    }
  }
  await roundTrips(provider, 'objects', [
    new Date(0),
    { at: new Date(8.64e15) },
    { toJSON: () => ({ from: 'toJSON' }) },
    { nested: { toJSON: (/** @type {string} */ key) => key } },
    new Point(),
    Object.create(null, { a: { value: 1, enumerable: true }, b: { value: 2 } }),
    { kept: 1, left: undefined, out: () => 1, [Symbol('s')]: 2, also: Symbol('s') },
    [undefined, () => 1, Symbol('s')],
    Object.assign(new Array(3), { 0: 'and two holes' }),
    new Map([[1, 2]]),
    new Set([1]),
    Buffer.from('bytes'),
    new Uint8Array(3),
    [new String('boxed'), new Number(1), new Boolean(false)],
    /x/,
    new Error('lost'),
    { constructor: 1, toString: 2, hasOwnProperty: 3, length: 4 },
    JSON.parse('{"then": 5, "catch": 6}'),
  ])
})

forEachProvider('a __proto__ property is a property and changes no prototype', async (provider) => {
  const text =
    '{"__proto__": {"polluted": true}, "a": {"__proto__": null}, "constructor": {"prototype": {"polluted": true}}}'
  await roundTrips(provider, '__proto__', [JSON.parse(text)])
  const value = (await provider.read('__proto__:0'))?.value
  assert.deepEqual(Object.keys(value).sort(), ['__proto__', 'a', 'constructor'])
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.equal(/** @type {any} */ ({}).polluted, undefined)
})

forEachProvider('1,000 levels deep', async (provider) => {
  let [array, object] = /** @type {any[]} */ ([['bottom'], { bottom: 1 }])
  for (let level = 0; level < 1_000; level++) [array, object] = [[array], { down: object }]
  for (const [n, value] of [array, object, [array, object]].entries()) {
    for (const key of [`deep:${n}`, `deep:${n}`.padEnd(3_000, '.')]) {
      await provider.write(key, value)
      assert.equal(JSON.stringify((await provider.read(key))?.value), JSON.stringify(value))
    }
  }
})

forEachProvider('a megabyte and many items', async (provider) => {
  const megabyte = 2 ** 20
  await roundTrips(provider, 'large', [
    'x'.repeat(megabyte),
    crypto.randomBytes(megabyte / 2).toString('hex'),
    '🙂'.repeat(megabyte / 4),
    Array.from({ length: 20_000 }, (_, n) => n / 7),
    Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`property ${n}`, { n }])),
  ])
})

const cycle = /** @type {any} */ ({ a: [] })
cycle.a.push({ back: cycle })

/** @type {[string, any, string][]} */
const REFUSED = [
  ['undefined', undefined, 'ERR_INVALID_ARG_TYPE'],
  ['a function', () => 1, 'ERR_INVALID_ARG_TYPE'],
  ['a class', class Thing {}, 'ERR_INVALID_ARG_TYPE'],
  ['a symbol', Symbol('s'), 'ERR_INVALID_ARG_TYPE'],
  ['what toJSON makes undefined', { toJSON: () => undefined }, 'ERR_INVALID_ARG_TYPE'],
  ['a cycle', cycle, 'ERR_INVALID_ARG_VALUE'],
  ['a BigInt', 1n, 'ERR_INVALID_ARG_VALUE'],
  ['a BigInt within', { deep: [{ n: 2n ** 64n }] }, 'ERR_INVALID_ARG_VALUE'],
  ['what throws', { toJSON: () => assert.fail('thrown on purpose') }, 'ERR_INVALID_ARG_VALUE'],
  [
    'what throws nothing',
    {
      get property() {
        throw undefined
      },
    },
    'ERR_INVALID_ARG_VALUE',
  ],
]

forEachProvider(
  'undefined, functions, symbols, cycles and BigInts reject, and the stored value stays',
  async (provider) => {
    const argument = provider.title === 'PostgresAdapter.save' ? 'checkpoint.data' : 'value'
    await provider.write('refused:old', 'old')
    for (const [title, value, code] of REFUSED) {
      for (const key of ['refused:old', 'refused:new']) {
        const error = await provider.write(key, value).then(
          () => assert.fail(`${title} was taken`),
          (reason) => reason,
        )
        assert.ok(error instanceof TypeError, title)
        assert.equal(/** @type {any} */ (error).code, code, title)
        assert.ok(error.message.includes(`${argument}`), error.message)
      }
    }
    assert.deepEqual(await provider.read('refused:old'), { value: 'old' })
    assert.equal(await provider.read('refused:new'), null)
  },
)

forEachProvider(
  'a value that JSONB cannot hold rejects with its code among 200 good values, and affects none of them',
  async (provider) => {
    const { write, read } = provider
    /** @type {[any, string][]} */
    const bad = [
      ['a\0b', '22P05'],
      [{ 'a\0b': 1 }, '22P05'],
      [{ deep: [['\0']] }, '22P05'],
      ['\ud800', '22P02'],
      ['\udfff', '22P02'],
      ['\udc00\ud800', '22P02'],
      ['\ud83d\ud83d\ude42', '22P02'],
      [{ 'a\ud800b': 1 }, '22P02'],
      [[{ deep: 'x\udc00' }], '22P02'],
    ]
    await write('bad:0', 'old')
    const good = Array.from({ length: 200 }, (_, n) => n)
    const calls = good.map((n) => write(`good:${n}`, { n }))
    const failing = bad.map(([value], n) => write(n % 4 === 3 ? `bad:${n}`.padEnd(3_000, '.') : `bad:${n}`, value))
    calls.push(...good.map((n) => write(`good:too:${n}`, [n])))
    const outcomes = await Promise.allSettled(failing)
    await Promise.all(calls)
    for (const [n, outcome] of outcomes.entries()) {
      assert.ok(outcome.status === 'rejected')
      assert.ok(outcome.reason instanceof require('pg').DatabaseError)
      assert.equal(outcome.reason.code, bad[n][1], JSON.stringify(bad[n][0]))
    }
    const found = await Promise.all(good.flatMap((n) => [read(`good:${n}`), read(`good:too:${n}`)]))
    assert.deepEqual(
      found,
      good.flatMap((n) => [{ value: { n } }, { value: [n] }]),
    )
    assert.deepEqual(await read('bad:0'), { value: 'old' })
    const rows = await (await database).query(
      `SELECT count(*)::int AS n FROM ${provider.table} WHERE (${provider.table}.*)::text LIKE '%bad:%'`,
    )
    assert.equal(rows[0].n, 1, 'no bad value is stored')
  },
)

/** A generator of numbers from 0 to 1 (mulberry32). */
function random(/** @type {number} */ seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** @param {number} seed */
function randomValues(seed) {
  const next = random(seed)
  const upTo = (/** @type {number} */ n) => Math.floor(next() * n)
  const bits = new DataView(new ArrayBuffer(8))
  const number = () => {
    bits.setUint32(0, upTo(2 ** 32))
    bits.setUint32(4, upTo(2 ** 32))
    return [bits.getFloat64(0), upTo(1_000) / 10, upTo(2 ** 31) * 2 ** upTo(40), -upTo(10)][upTo(4)]
  }
  const character = () => {
    const point = [1 + upTo(0x7f), 1 + upTo(0xd7ff), 0xe000 + upTo(0x2000), 0x10000 + upTo(0x100000)][upTo(4)]
    return String.fromCodePoint(point)
  }
  const text = () => Array.from({ length: upTo(12) }, character).join('')
  /** @returns {any} */
  const value = (/** @type {number} */ depth) => {
    const kind = upTo(depth > 0 ? 6 : 4)
    if (kind === 0) return [true, false, null][upTo(3)]
    if (kind <= 2) return number()
    if (kind === 3) return text()
    const length = upTo(6)
    if (kind === 4) return Array.from({ length }, () => value(depth - 1))
    return Object.fromEntries(Array.from({ length }, () => [text(), value(depth - 1)]))
  }
  return Array.from({ length: 300 }, () => value(5))
}

const SEED = Number(process.env.GOSCOPE_TEST_SEED ?? 20_240_229)

forEachProvider(`300 values drawn at random (seed ${SEED})`, async (provider) => {
  await roundTrips(provider, 'random', randomValues(SEED))
})
