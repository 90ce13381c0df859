// @ts-check
// @configurations first, last
// Callers' values are data: on a server that logs each statement, no statement contains anything that a caller wrote.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { after, before, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')
const { MARK, RUNS, fc, holds, text } = require('../support/hostile.js')
const { NAMES } = require('../support/operations.js')
const { inTime } = require('../support/waiting.js')

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server
/** @type {pg.Pool} */
let pool
/** @type {pg.Client} */
let plain
let calls = 0
/** Of tables. @type {string[]} */
const names = []

before(async () => {
  // Without their parameters, which are the callers' values.
  const settings = { log_statement: 'all', log_parameter_max_length: 0, log_parameter_max_length_on_error: 0 }
  server = await startPostgres({ settings: { ...settings, log_error_verbosity: 'verbose' } })
  pool = new pg.Pool({ connectionString: server.url, max: 4 })
  plain = new pg.Client({ connectionString: server.url })
  plain.on('error', () => {})
  await plain.connect()
  await plain.query('CREATE TABLE canary (it text)')
  await plain.query("INSERT INTO canary VALUES ('sings')")
})

after(async () => {
  await pool?.end()
  await plain?.end()
  await server?.stop()
})

/** The statements in the log, whatever else was logged with them. */
const logged = () => fs.readFileSync(server.logFile, 'utf8')

const TABLES =
  'go_goscope_locks, go_goscope_circuit, go_goscope_cache, go_goscope_checkpoints, go_goscope_idempotency, cache'

const STATES = /** @type {const} */ (['closed', 'open', 'half-open'])
const ttl = fc.oneof(fc.integer({ min: 60_000, max: 2 ** 40 }), fc.constantFrom(60_000, 1e12))

/** What JSON makes of a value. JSONB can hold neither U+0000 nor lone surrogates in it. */
const value = fc.oneof(fc.jsonValue(), text, fc.dictionary(text, text))
const throughJson = (/** @type {unknown} */ given) => JSON.parse(JSON.stringify(given))
const isForJsonb = (/** @type {unknown} */ given) =>
  !/\\u0000|\\ud[89a-f]/.test(JSON.stringify(given).replaceAll('\\\\', ''))

test('keys, prefixes, owners and values are returned unchanged', async () => {
  await holds([text, text, text, value, ttl], async (keyPrefix, key, owner, given, lease) => {
    const adapter = new PostgresAdapter(pool, { keyPrefix })
    const results = new PostgresIdempotencyAdapter(pool, { keyPrefix })
    const entries = new PostgresCacheAdapter(pool, { keyPrefix })
    calls += 14
    if (!isForJsonb(given)) {
      // All at once. The server decides which of them is refused first.
      const refused = [adapter.set(key, given), results.set(key, given), entries.set(key, given)].map((call) =>
        assert.rejects(call, (/** @type {any} */ error) => ['22P05', '22P02'].includes(error.code)),
      )
      await Promise.all(refused)
      return
    }
    const expected = throughJson(given)
    await Promise.all([
      adapter.set(key, given, lease),
      entries.set(key, given, lease),
      results.set(key, [null, given], lease),
    ])
    assert.deepEqual(await adapter.get(key), expected)
    assert.deepEqual(await entries.get(key), expected)
    assert.deepEqual((await results.get(key))?.value, [null, expected])
    const wellFormed = /** @type {any} */ (owner).toWellFormed()
    const handle = await adapter.acquire(key, lease, wellFormed)
    assert.ok(handle)
    assert.equal(await adapter.acquire(key, lease, `${wellFormed}!`), null)
    assert.equal(await adapter.extend(key, lease, wellFormed), true)
    await handle.release()
    const checkpoint = { id: key, taskId: owner, sequence: 1, timestamp: 1, progress: 1, data: given }
    await adapter.save(checkpoint)
    assert.deepEqual(await adapter.load(key), { ...checkpoint, data: expected })
    await adapter.setState(key, { state: STATES[key.length % 3], failureCount: key.length })
    assert.equal((await adapter.getState(key))?.failureCount, key.length)
    await adapter.deleteAll(owner)
    assert.ok((await adapter.keys()).includes(key.replace(/[\ud800-\udfff]/gu, '\ufffd')) || !isListed(key))
    await adapter.clear()
    assert.equal(await adapter.get(key), null)
  })
})

/** Keys that `keys()` returns unchanged. Those with lone surrogates have U+FFFD in their place. */
const isListed = (/** @type {string} */ key) => /** @type {any} */ (key).isWellFormed()

test('no prefix sees, lists, counts or removes the keys of another', async () => {
  const apart = fc.tuple(text, text).filter(([a, b]) => !a.startsWith(b) && !b.startsWith(a))
  await holds([apart, text], async ([one, two], key) => {
    // A key that begins with a prefix belongs to it, whatever caller wrote it.
    await plain.query(`TRUNCATE ${TABLES}`)
    const [mine, theirs] = [one, two].map((keyPrefix) => ({
      adapter: new PostgresAdapter(pool, { keyPrefix }),
      entries: new PostgresCacheAdapter(pool, { keyPrefix }),
      results: new PostgresIdempotencyAdapter(pool, { keyPrefix }),
    }))
    calls += 22
    const checkpoint = { id: key, taskId: key, sequence: 1, timestamp: 1, progress: 1, data: 'theirs' }
    await Promise.all([
      theirs.adapter.set(key, 'theirs'),
      theirs.entries.set(key, 'theirs'),
      theirs.results.set(key, 'theirs'),
      theirs.adapter.acquire(key, 600_000, 'theirs'),
      theirs.adapter.setState(key, { state: 'open', failureCount: 7 }),
      theirs.adapter.save(checkpoint),
    ])
    assert.deepEqual(await Promise.all([mine.adapter.get(key), mine.entries.get(key), mine.results.get(key)]), [
      null,
      null,
      null,
    ])
    assert.deepEqual(
      [await mine.adapter.keys(), await mine.adapter.keys('%'), await mine.entries.keys('*')],
      [[], [], []],
    )
    assert.equal((await mine.entries.stats()).size, 0)
    assert.equal(await mine.adapter.getState(key), null)
    assert.deepEqual([await mine.adapter.load(key), await mine.adapter.list(key)], [undefined, []])
    assert.equal(await mine.adapter.extend(key, 600_000, 'theirs'), false)
    await Promise.all([
      mine.adapter.clear(),
      mine.entries.clear(),
      mine.adapter.delete(key),
      mine.results.delete(key),
      mine.adapter.forceRelease(key),
      mine.adapter.deleteAll(key),
      mine.adapter.cleanup(key, 0),
      mine.adapter.recordSuccess(key),
    ])
    assert.deepEqual(await Promise.all([theirs.adapter.get(key), theirs.entries.get(key)]), ['theirs', 'theirs'])
    assert.equal((await theirs.results.get(key))?.value, 'theirs')
    assert.equal(await theirs.adapter.extend(key, 600_000, 'theirs'), true)
    assert.equal((await theirs.adapter.getState(key))?.failureCount, 7)
    assert.equal((await theirs.adapter.list(key)).length, 1)
    await Promise.all([theirs.adapter.clear(), theirs.entries.clear(), theirs.adapter.deleteAll(key)])
  })
})

test('a pattern finds what LIKE finds on the server; in PostgresCacheAdapter, only * is special', async () => {
  const short = fc.array(fc.constantFrom('a', 'b', '%', '_', '\\', '*', "'", '?', '.', 'é', '🙂'), { maxLength: 5 })
  const given = short.map((pieces) => `${MARK}${pieces.join('')}`)
  await holds(
    [fc.uniqueArray(given, { minLength: 1, maxLength: 12 }), given, text],
    async (keys, pattern, keyPrefix) => {
      const adapter = new PostgresAdapter(pool, { keyPrefix })
      const entries = new PostgresCacheAdapter(pool, { keyPrefix })
      calls += 2 * keys.length + 4
      await Promise.all(keys.flatMap((key) => [adapter.set(key, 1), entries.set(key, 1)]))
      const like = 'SELECT k FROM unnest($1::text[]) AS k WHERE k LIKE $2'
      const expected = await plain.query(like, [keys, pattern]).then(
        ({ rows }) => rows.map(({ k }) => k).sort(),
        (error) => error.code,
      )
      const found = await adapter.keys(pattern).then(
        (all) => all.sort(),
        (error) => error.code,
      )
      assert.deepEqual(found, expected)
      const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      const starred = new RegExp(`^${parts.join('.*')}$`, 's')
      assert.deepEqual((await entries.keys(pattern)).sort(), keys.filter((key) => starred.test(key)).sort())
      await Promise.all([adapter.clear(), entries.clear()])
    },
  )
})

test('a table name is a valid name, or is refused', async () => {
  const name = fc.oneof(
    text,
    text.map((given) => given.slice(-30)),
    fc.string({ unit: 'binary', maxLength: 12 }),
  )
  await holds(
    [name],
    async (tableName) => {
      calls += 3
      names.push(tableName)
      /** @type {any} */
      let refusal
      try {
        const entries = new PostgresCacheAdapter(pool, { tableName })
        await entries.set(MARK, tableName.length)
        assert.equal(await entries.get(MARK), tableName.length)
      } catch (error) {
        refusal = error
      }
      const { rows } = await plain.query('SELECT relname FROM pg_class WHERE relname = $1', [
        tableName.replaceAll('\0', ''),
      ])
      if (refusal) {
        // 3F000: the part before a dot is no existing schema.
        assert.match(String(refusal.code), /^(ERR_INVALID_ARG_VALUE|3F000)$/, refusal.stack)
      } else {
        assert.deepEqual(rows, [{ relname: tableName }])
        await plain.query(`DROP TABLE ${pg.escapeIdentifier(tableName)}`)
      }
    },
    Math.ceil(RUNS / 2),
  )
})

test('with any arguments, a method resolves or rejects, and never throws', async () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
  })
  // `lock` waits for a lock that an earlier call has taken.
  const methods = Object.keys(NAMES.main).filter((name) => name !== 'lock')
  const adapter = /** @type {any} */ (new PostgresAdapter(pool, { keyPrefix: 'anything:' }))
  await holds(
    [fc.constantFrom(...methods), fc.array(anything, { maxLength: 4 })],
    async (method, args) => {
      calls++
      const answer = adapter[method](...args)
      assert.ok(answer instanceof Promise)
      const outcome = await inTime(
        method,
        answer.then(
          () => undefined,
          (error) => error,
        ),
      )
      if (outcome !== undefined)
        assert.ok(outcome instanceof Error && /** @type {any} */ (outcome).code, String(outcome))
    },
    RUNS * 4,
  )
})

test('none of this became SQL: no logged statement contains text of a caller, the canary is intact', async () => {
  let log = logged()
  // Table names do occur in statements, each as an identifier. The mark may occur there and nowhere else.
  const marked = names.filter((name) => name.includes(MARK)).sort((a, b) => b.length - a.length)
  for (const name of marked) {
    for (const identifier of [pg.escapeIdentifier(name), name.split('.').map(pg.escapeIdentifier).join('.')]) {
      log = log.replaceAll(identifier.replaceAll('\n', '\n\t'), '"a table"')
    }
  }
  const strange = log.split('\n').filter((line) => line.includes(MARK) && !isError(line))
  assert.deepEqual(strange.slice(0, 5), [])
  assert.ok(log.includes('INSERT INTO'), 'the log contains the statements')
  assert.deepEqual((await plain.query('SELECT it FROM canary')).rows, [{ it: 'sings' }])
  console.log(
    `# figure: ${calls} hostile calls, ${log.match(/LOG: .*(execute|statement)/g)?.length} statements logged, none with a caller's text in it`,
  )
})

/** An error's message may quote the value that it is about. */
const isError = (/** @type {string} */ line) => /(ERROR|DETAIL|CONTEXT):/.test(line)
