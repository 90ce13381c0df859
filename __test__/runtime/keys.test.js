// @ts-check
// @configurations every
// Keys, owners, ids and task ids: any string without U+0000, of any length. prefixes.test.js tests the prefix before
// them.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { EXAMPLES, argumentsOf, callWith } = require('../support/example-arguments.js')
const { adaptersOn } = require('../support/operations.js')
const { without } = require('../support/route.js')
const { TITLES, storesOf } = require('../support/stores.js')

const database = useDatabase()
const narrowDatabase = useDatabase()
const pool = database.then((db) => db.pool())

/**
 * A test per kind of name, in a namespace of its own.
 *
 * @param {string} promise
 * @param {(store: import('../support/stores.js').Store, keyPrefix: string) => Promise<void>} check
 * @param {string} [except]
 */
function forEachStore(promise, check, except) {
  for (const [at, title] of TITLES.entries()) {
    if (title === except) continue
    test(`${title}: ${promise}`, async () => {
      const keyPrefix = `${promise.slice(0, 12)}:${at}:`
      const store = storesOf(await pool, keyPrefix)[at]
      assert.equal(store.title, title)
      await check(store, keyPrefix)
    })
  }
}

/** The names are all different: each holds only the value that was stored under it. */
async function areDistinct(/** @type {import('../support/stores.js').Store} */ store, /** @type {string[]} */ names) {
  assert.equal(new Set(names).size, names.length, 'the test itself')
  await Promise.all(names.map((name, n) => store.put(name, n)))
  const held = await Promise.all(names.map((name, n) => store.holds(name, n)))
  assert.deepEqual(names.filter((_, n) => !held[n]).map(brief), [])
  const mistaken = await Promise.all(names.map((name, n) => store.holds(name, n + 1)))
  assert.deepEqual(names.filter((_, n) => mistaken[n]).map(brief), [])
  if (!store.keys) return
  const listed = await store.keys()
  assert.deepEqual(listed.map(brief).sort(), names.map(brief).sort())
  assert.deepEqual(names.filter((name) => !listed.includes(name)).map(brief), [])
}

/** A name as a failure should show it. */
const brief = (/** @type {string} */ name) =>
  name.length > 100 ? `${name.slice(0, 20)}...(${name.length})...${name.slice(-20)}` : name

/** The stored values in the table's column, of the rows that contain `like`. */
async function storedNames(
  /** @type {import('../support/stores.js').Store} */ { table, column },
  /** @type {string} */ start,
) {
  const rows = await (await database).query(`SELECT ${column} AS name FROM ${table} WHERE starts_with(${column}, $1)`, [
    start,
  ])
  return rows.map(({ name }) => name)
}

forEachStore('plain names are stored byte for byte, behind prefix and namespace', async (store, keyPrefix) => {
  const names = [
    'resource:1',
    '',
    ' ',
    "it's",
    '"',
    '%_\\',
    'ключ 鍵 🙂',
    '\t\n\u0001\u007f',
    'x'.repeat(255),
    'é'.repeat(1_000),
  ]
  await Promise.all(names.map((name, n) => store.put(name, n)))
  const stored = await storedNames(store, keyPrefix)
  assert.deepEqual(stored.sort(), names.map((name) => `${keyPrefix}${store.namespace}${name}`).sort())
})

test('owners are stored as given, of any length and in any script', async () => {
  const adapter = new PostgresAdapter(await pool)
  for (const owner of ['', ' ', "it's", 'ключ 🙂', '\u0001sha256:', '%', 'o'.repeat(10_000)]) {
    const handle = await adapter.acquire('owned', 60_000, owner)
    const [row] = await (await database).query("SELECT owner FROM go_goscope_locks WHERE key = 'lock:owned'")
    assert.equal(row.owner, owner)
    assert.equal(await adapter.extend('owned', 60_000, `${owner} `), false)
    assert.equal(await adapter.extend('owned', 60_000, owner), true)
    assert.equal(await handle?.isValid(), true)
    await handle?.release()
  }
})

forEachStore('numbers and bigints are their decimal text', async (store) => {
  const numbers = [5, 5n, -5, 0, -0, 0n, 1.5, 1e21, 1e-7, Number.MAX_SAFE_INTEGER, 2n ** 70n, -(2n ** 64n)]
  for (const [n, given] of numbers.entries()) {
    const text = `${given}`
    await store.remove(text)
    await store.put(given, n + 1)
    assert.equal(await store.holds(text, n + 1), true, text)
    await store.remove(given)
    assert.equal(await store.holds(text, n + 1), false, text)
  }
})

test('numbers and bigints are their decimal text: owners, and the returned names', async () => {
  const adapter = new PostgresAdapter(await pool, { keyPrefix: 'numeric:' })
  const any = (/** @type {any} */ value) => value
  const handle = await adapter.acquire(any(5), 60_000, any(7))
  assert.equal(await adapter.extend('5', 60_000, '7'), true)
  assert.equal(await adapter.extend(any(5n), 60_000, any(7n)), true)
  assert.equal(await handle?.isValid(), true)
  await adapter.save({ id: any(1), taskId: any(2n), sequence: 3, timestamp: 4, progress: 5, data: 6 })
  assert.deepEqual(await adapter.load('1'), { id: '1', taskId: '2', sequence: 3, timestamp: 4, progress: 5, data: 6 })
  await adapter.set(any(9), 1)
  assert.deepEqual(await adapter.keys(), ['9'])
  assert.deepEqual(await adapter.keys(any(9)), ['9'])
})

const NAMES = ['key', 'owner', 'pattern', 'id', 'taskId', 'fingerprint']

/**
 * Every method that takes a name, and the argument that its error must name.
 *
 * @typedef {[method: string, argument: string, call: (name: any) => Promise<unknown>]} Naming
 * @returns {Promise<Naming[]>}
 */
async function namingMethods() {
  const adapters = /** @type {any} */ (adaptersOn(await pool))
  adapters.semaphore = adapters.main.semaphore('k', 2)
  return EXAMPLES.filter(({ on }) => on !== 'handle').flatMap((example) =>
    [...argumentsOf(example), ...namesInLists(example)]
      .filter((argument) => NAMES.includes(String(argument.split('.').at(-1))) || argument.endsWith(']'))
      .map((argument) => {
        const call = (/** @type {any} */ name) => callWith(adapters[example.on], example, argument, name)
        return /** @type {Naming} */ ([example.name, argument, call])
      }),
  )
}

/** @param {import('../support/operations.js').Operation} example */
function namesInLists({ args }) {
  const { keys, entries, checkpoints } = args('k')
  if (checkpoints) return ['checkpoints[1].id', 'checkpoints[1].taskId']
  return keys ? ['keys[1]'] : entries ? ['entries[1][0]'] : []
}

test('a name with U+0000 rejects with the name of the argument', async () => {
  for (const [method, argument, call] of await namingMethods()) {
    for (const name of ['\0', 'a\0b', `${'x'.repeat(5_000)}\0`, '\0"\\ud800"']) {
      await assert.rejects(call(name), (/** @type {any} */ error) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE', `${method}: ${error}`)
        assert.ok(error instanceof TypeError)
        assert.ok(error.message.includes(`'${argument}'`) && error.message.includes('U+0000'), `${method}: ${error}`)
        return true
      })
    }
  }
})

test('NaN and Infinity are refused as names', async () => {
  for (const [method, argument, call] of await namingMethods()) {
    for (const name of [Number.NaN, Infinity, -Infinity]) {
      await assert.rejects(call(name), (/** @type {any} */ error) => {
        assert.match(error.code, /^ERR_(INVALID_ARG_TYPE|INVALID_ARG_VALUE|OUT_OF_RANGE)$/, method)
        assert.ok(error.message.includes(`"${argument}"`) && error.message.includes(String(name)), error.message)
        return true
      })
    }
  }
})

/** Distinct names that are easily confused. */
// biome-ignore format: one line each would be a page
const ODD = [
  '', ' ', '  ', '\t', '\n', '\r\n', '\u00a0', '\ufeff', '\u200b', 'a', 'A', 'a ', ' a', 'a\n', 'å', 'a\u030a', 'ß', 'ss',
  'ı', 'i', 'İ', "'", "''", '"', '""', '`', '\\', '\\\\', '%', '%%', '_', '__', '*', '**', '?', '.', ':', '::', '/', '..',
  '$1', '{}', '{,}', 'NULL', 'null', 'undefined', '__proto__', 'constructor', 'toString', 'then', '🙂', '🙃', '👩‍👩‍👧‍👦',
  '\u0001', '\u0001\u0001', '\u0002', '\u001b[0m', '\u007f', '\u0080', '\u2028', '\u2029', '\u202e', '\ufffd', '\ufffe',
  '\uffff', '\u{10000}', '\u{10ffff}', '\ud800', '\udfff', '\udc00', '\udc00\ud800', '\ud800\ud800', 'x\ud800', '\ud800x',
  '"\\ud800"', '\\ud800', '\u0001"\\ud800"', '\u0001#', '\u0001#x', '\u0001sha256:', `\u0001#${'0'.repeat(43)}`,
]

forEachStore('odd names are different names, and come back exactly', async (store) => {
  await areDistinct(store, ODD)
})

/** Text that does not compress: each character is any Unicode character except U+0000 and the surrogates. */
const noise = (/** @type {number} */ characters) =>
  Array.from({ length: characters }, () => {
    const point = crypto.randomInt(1, 0x10f800)
    return String.fromCodePoint(point < 0xd800 ? point : point + 0x800)
  }).join('')

/** As many bytes in hexadecimal digits. They compress to half, which may or may not fit an index. */
const digits = (/** @type {number} */ bytes) =>
  crypto
    .randomBytes(Math.ceil(bytes / 2))
    .toString('hex')
    .slice(0, bytes)

const shared = digits(3_000)
const LONG = [
  ...[
    2_500, 2_550, 2_560, 2_570, 2_580, 2_590, 2_599, 2_600, 2_601, 2_650, 2_700, 2_704, 2_705, 2_720, 5_000, 8_192,
    100_000,
  ].map(digits),
  ...[640, 650, 660, 675, 680, 10_000].map(noise),
  ...[...'abc', '', ' ', '\ud800', '\udfff'].map((end) => shared + end),
  ...[...'abc'].map((start) => start + shared),
  'x'.repeat(1_000_000),
  'x'.repeat(1_000_001),
]

forEachStore('names of any length, compressible or not, with a long common beginning or end', async (store) => {
  await areDistinct(store, LONG)
})

forEachStore('what a long or an odd name is stored as is, as a name, another', async (store, keyPrefix) => {
  const names = [`${shared}1`, '\ud800', '\udfff']
  for (let round = 0; round < 2; round++) {
    await Promise.all(names.map((name, n) => store.put(name, n)))
    const stored = await storedNames(store, keyPrefix)
    names.push(
      ...stored
        .map((name) => name.slice(`${keyPrefix}${store.namespace}`.length))
        .filter((name) => !names.includes(name)),
    )
  }
  assert.equal(names.length, 9, 'three names, what they are stored as, and what that is stored as')
  await areDistinct(store, names)
})

test('names of any length work if the columns are VARCHAR(100), with and without a prefix', {
  skip: without.plainKeys,
}, async () => {
  const db = await narrowDatabase
  const own = db.pool({ max: 2 })
  await Promise.all(storesOf(own).map((store) => store.put('', 1)))
  for (const { table, column } of storesOf(own)) {
    await db.query(`ALTER TABLE ${table} ALTER COLUMN ${column} TYPE VARCHAR(100)`)
  }
  const names = [0, 1, 50, 85, 86, 87, 90, 94, 95, 99, 100, 101, 255, 3_000].map((length) => 'é'.repeat(length))
  for (const keyPrefix of ['p:', 'long prefix:']) {
    // Another pool: this one's knowledge of the tables is from before.
    for (const store of storesOf(db.pool({ max: 2 }), keyPrefix)) await areDistinct(store, names)
  }
})

/** A checkpoint is removed with its task. */
const NOT_REMOVED = 'checkpoint ids'

forEachStore(
  'removing a long or odd name removes it, and no other',
  async (store) => {
    const names = [`${shared}1`, `${shared}2`, '\ud800', '\udfff']
    await Promise.all(names.map((name, n) => store.put(name, n + 1)))
    await store.remove(names[0])
    await store.remove(names[2])
    const held = await Promise.all(names.map((name, n) => store.holds(name, n + 1)))
    assert.deepEqual(held, [false, true, false, true])
  },
  NOT_REMOVED,
)

for (const title of ['cache', 'PostgresCacheAdapter']) {
  const wildcard = title === 'cache' ? '%' : '*'

  /**
   * @param {string} keyPrefix
   * @param {string[]} names
   * @param {[string, string[]][]} patterns
   */
  const finds = async (keyPrefix, names, patterns) => {
    const store = storesOf(await pool, keyPrefix)[TITLES.indexOf(title)]
    await Promise.all(names.map((name, n) => store.put(name, n)))
    for (const [pattern, expected] of patterns) {
      const found = await store.keys?.(pattern.replaceAll('*', wildcard))
      assert.deepEqual(found?.map(brief).sort(), expected.map(brief).sort(), `pattern ${brief(pattern)}`)
    }
  }

  test(`${title}: patterns match long and odd keys as given`, async () => {
    const names = [`find ${shared} me`, 'find "quoted" me', 'find \u0001 me', '\u0001#find me', 'find nothing']
    await finds('patterns:', names, [
      ['find*me', names.slice(0, 3)],
      ['*me', names.slice(0, 4)],
      [names[0], [names[0]]],
      ['*#*', [names[3]]],
      [`*${shared.slice(-30)}*`, [names[0]]],
    ])
  })

  test(`${title}: patterns match keys with lone surrogates as given`, async () => {
    const names = ['find \ud800 me', 'find \udfff', '\udfff me', 'find me']
    await finds('surrogates:', names, [
      ['*', names],
      ['find*', [names[0], names[1], names[3]]],
      ['*me', [names[0], names[2], names[3]]],
      ['"*', []],
      ['*ud*', []],
    ])
  })
}
