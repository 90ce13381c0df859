// @ts-check
// What every library must show, with within() and run() on its transactions.
'use strict'

const assert = require('node:assert/strict')
const { after, before, describe, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const pg = require('pg')
const { METHODS } = require('../../../lib/operations.js')
const { until } = require('../waiting.js')
const { adaptersOn, adaptersWithin, callEveryMethod, whatIsLeft } = require('./every-method.js')

/**
 * @typedef {object} Place
 * @property {string} url
 * @property {() => import('pg').Pool} pool which the place ends
 */

/** What a session may have that changes how it reads and writes values. */
const SESSION = [
  "SET LOCAL TimeZone = 'Asia/Tokyo'",
  'SET LOCAL search_path = elsewhere',
  "SET LOCAL bytea_output = 'escape'",
  'SET LOCAL extra_float_digits = -15',
  "SET LOCAL DateStyle = 'German'",
]
const OVER = new Error('the work is over')
const unexpected = () => assert.fail('it did not reject')
const WITHIN = { code: 'ERR_WITHIN_TRANSACTION' }

/** @type {WeakMap<Place, Promise<any>>} */
const outsides = new WeakMap()

/**
 * What each method does outside of a transaction: the same for every library.
 *
 * @param {Place} place
 */
function outside(place) {
  const found = outsides.get(place) ?? callOutside(adaptersOn(place.pool(), 'outside:'))
  outsides.set(place, found)
  return found
}

/** @param {import('./every-method.js').Adapters} adapters */
async function callOutside(adapters) {
  const found = { ...(await callEveryMethod(adapters)), left: await whatIsLeft(adapters) }
  await adapters.main.disconnect()
  return found
}

/**
 * The end of a pool does not wait for that of its sessions. A session that the server ends meanwhile is an error, which
 * no listener of a pool receives any more.
 *
 * @param {string} url
 */
async function withoutSessions(url) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await until('the end of the sessions', async () => {
    const { rowCount } = await client.query(`SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`)
    return rowCount === 0
  })
  await client.end()
}

/**
 * Registers the tests of a library.
 *
 * @param {import('./library.js').Library} library
 * @param {() => Promise<{ load: import('./library.js').Load }>} installed
 * @param {() => Promise<Place>} placed
 */
function testLibrary({ name, open }, installed, placed) {
  describe(name, () => {
    /** @type {import('./library.js').Opened} */
    let opened
    /** @type {Place} */
    let place
    /** @type {import('pg').Pool} */
    let pool
    const prefix = (/** @type {string} */ subject) => `${name}: ${subject}: `
    const on = (/** @type {string} */ subject) => adaptersOn(pool, prefix(subject))

    before(async () => {
      place = await placed()
      pool = place.pool()
      opened = await open((await installed()).load, place.url)
      const { main, entries, results } = on('')
      await Promise.all([main.connect(), entries.initialize(), results.connect()])
      await pool.query(
        'CREATE TABLE IF NOT EXISTS effects (note text PRIMARY KEY); CREATE SCHEMA IF NOT EXISTS elsewhere',
      )
    })
    after(async () => {
      await opened?.close()
      await on('end').main.disconnect()
      await withoutSessions(place.url)
    })

    const effects = async (/** @type {string} */ note) =>
      (await pool.query('SELECT 1 FROM effects WHERE note = $1', [prefix(note)])).rowCount
    const effect = (/** @type {string} */ note) => `INSERT INTO effects VALUES ('${prefix(note)}')`

    test('what it has written is committed, and rolled back, with the application’s own rows', async () => {
      const { main } = on('ends')
      const work = (/** @type {string} */ key, /** @type {boolean} */ fails) =>
        opened.transaction(async ({ client, execute }) => {
          await main.within(client).set(key, 1)
          await execute(effect(key))
          assert.equal(await main.within(client).get(key), 1)
          assert.equal(await main.get(key), null)
          if (fails) throw OVER
          return 'done'
        })
      assert.equal(await work('committed', false), 'done')
      assert.deepEqual([await main.get('committed'), await effects('committed')], [1, 1])
      await assert.rejects(work('undone', true), OVER)
      assert.deepEqual([await main.get('undone'), await effects('undone')], [null, 0])
    })

    for (const isolation of /** @type {const} */ (['read committed', 'repeatable read', 'serializable'])) {
      test(`${isolation}: another transaction changes the row meanwhile`, async () => {
        const { main } = on(isolation)
        await main.set('k', 'before')
        /** @type {unknown} */
        let seen
        const changed = opened.transaction(async ({ client }) => {
          const within = main.within(client)
          assert.equal(await within.get('k'), 'before')
          await main.set('k', 'meanwhile')
          seen = await within.get('k')
          await within.set('k', 'after')
        }, isolation)
        if (isolation === 'read committed') {
          await changed
          assert.deepEqual([seen, await main.get('k')], ['meanwhile', 'after'])
        } else {
          const error = await changed.then(unexpected, (error) => error)
          assert.deepEqual([opened.sqlstate(error), opened.isOwnError(error)], ['40001', true], error)
          assert.deepEqual([seen, await main.get('k')], ['before', 'meanwhile'])
        }
      })
    }

    test('a savepoint that is rolled back to undoes the calls after it, and no others', async () => {
      const { main } = on('savepoints')
      await opened.transaction(async ({ client, nested }) => {
        await main.within(client).set('outer', 1)
        await nested(({ client }) => main.within(client).set('inner', 1))
        const undone = nested(async ({ client }) => {
          await main.within(client).setMany([['outer', 2], ['inner', 2], ['undone', 2]]) // biome-ignore format: one call
          throw OVER
        })
        await assert.rejects(undone, OVER)
        await main.within(client).increment('outer')
      })
      assert.deepEqual(await main.getMany(['outer', 'inner', 'undone']), [2, 1, null])
    })

    test('every method has the result that it has outside, whatever the settings of the session', async () => {
      const inside = on('inside')
      const expected = await outside(place)
      const found = await opened.transaction(async ({ client, execute }) => {
        for (const setting of SESSION) await execute(setting)
        return await callEveryMethod(adaptersWithin(inside, client))
      })
      assert.equal(found.results.length, expected.results.length)
      for (const [at, result] of found.results.entries()) assert.deepEqual(result, expected.results[at])
      assert.deepEqual(await whatIsLeft(inside), expected.left)
    })

    test('every other method is refused', async () => {
      const subjects = /** @type {const} */ ({
        main: { ...METHODS.LifeCycle, ...METHODS.CacheProvider, ...METHODS.PostgresAdapter },
        entries: { ...METHODS.LifeCycle, ...METHODS.CacheProvider, ...METHODS.PostgresCacheAdapter },
        results: { ...METHODS.LifeCycle, ...METHODS.PostgresIdempotencyAdapter },
      })
      const { called } = await outside(place)
      await opened.transaction(async ({ client }) => {
        const within = adaptersWithin(on('refused'), client)
        for (const target of /** @type {const} */ (['main', 'entries', 'results'])) {
          for (const method of Object.keys(subjects[target])) {
            if (called[target].has(method) || method === 'assertHeld') continue
            await assert.rejects(async () => /** @type {any} */ (within[target])[method]('k', 1, 'x'), WITHIN, method)
          }
        }
      })
    })

    test('assertHeld() lets a holder continue, and fails the transaction of another', async () => {
      const { main } = on('leases')
      const lease = await main.lock('k', { ttl: 60_000, renew: false })
      const work = (/** @type {bigint} */ fencingToken) =>
        opened.transaction(async ({ client, execute }) => {
          await main.within(client).assertHeld({ key: lease.key, fencingToken })
          await execute(effect(`token ${fencingToken}`))
        })
      const { fencingToken: token } = lease
      await work(token)
      const error = await work(token - 1n).then(unexpected, (error) => error)
      assert.deepEqual([opened.sqlstate(error), opened.isOwnError(error)], ['GF001', true], error)
      await lease.release()
      await assert.rejects(work(token))
      assert.deepEqual([await effects(`token ${token}`), await effects(`token ${token - 1n}`)], [1, 0])
    })

    test('a value with U+0000 rejects as outside; after a rollback to a savepoint the transaction continues', async () => {
      const { main } = on('zero')
      const { code } = await main.set('k', 'a\0b').then(unexpected, (error) => error)
      await opened.transaction(async ({ client, nested }) => {
        const refused = nested(({ client }) => main.within(client).set('k', 'a\0b'))
        const error = await refused.then(unexpected, (error) => error)
        assert.deepEqual([opened.sqlstate(error), opened.isOwnError(error)], [code, true], error)
        await main.within(client).set('k', 'after')
      })
      assert.equal(await main.get('k'), 'after')
    })

    test('names and texts may hold what looks like a parameter', async () => {
      const text = `SELECT CAST($2 AS text) || CAST($1 AS text) || CAST($2 AS text) AS "a$1?", '?$2''$3?' AS b -- $9 don't ?`
      await pool.query('CREATE TABLE IF NOT EXISTS "odd $1?:a" (LIKE go_goscope_cache INCLUDING ALL)')
      const odd = new PostgresCacheAdapter(pool, { tableName: 'odd $1?:a', keyPrefix: prefix('odd') })
      await opened.transaction(async ({ client }) => {
        const { rows } = await client.query(text, ['1', null])
        assert.deepEqual(rows.map(Object.values), [[null, "?$2'$3?"]])
        assert.deepEqual(Object.values((await client.query(text, ['1', '2'])).rows[0]), ['212', "?$2'$3?"])
        await odd.within(client).set('k?', '$1 ? :a')
      })
      assert.deepEqual([await odd.get('k?'), await odd.keys()], ['$1 ? :a', ['k?']])
    })

    test('calls that are made at once are carried out one after the other', async () => {
      const { main } = on('at once')
      await opened.transaction(async ({ client }) => {
        const within = main.within(client)
        const sums = await Promise.all(Array.from({ length: 10 }, () => within.increment('n')))
        assert.deepEqual(
          sums,
          Array.from(sums, (_, at) => at + 1),
        )
      })
      assert.equal(await main.get('n'), 10)
    })

    test('a table that was dropped is made again for the next call', async () => {
      const own = new PostgresAdapter(pool, { keyPrefix: prefix('dropped') })
      await own.set('k', 1)
      await pool.query('DROP TABLE go_goscope_cache')
      const get = () => opened.transaction(({ client }) => own.within(client).get('k'))
      const error = await get().then(unexpected, (error) => error)
      assert.deepEqual([opened.sqlstate(error), opened.isOwnError(error)], ['42P01', true], error)
      assert.equal(await get(), null)
    })

    test('run() commits the work and its result in one transaction', async () => {
      const results = new PostgresIdempotencyAdapter(pool, { keyPrefix: prefix('run') })
      const transaction = (/** @type {(client: any) => Promise<any>} */ work) =>
        opened.transaction(({ client }) => work(client))
      const insert = ({ client = /** @type {any} */ (undefined) }, /** @type {string} */ note) =>
        client.query('INSERT INTO effects VALUES ($1)', [prefix(note)])
      const run = () =>
        results.run('k', async (context) => {
          await insert(context, 'run')
          return { done: true }
        }, { transaction }) // biome-ignore format: one call
      assert.deepEqual([await run(), await run(), await effects('run')], [{ done: true }, { done: true }, 1])

      const failing = results.run('failing', async (context) => {
        await insert(context, 'failing')
        throw OVER
      }, { transaction }) // biome-ignore format: one call
      await assert.rejects(failing, OVER)
      assert.deepEqual([await results.get('failing'), await effects('failing')], [null, 0])

      // As if another process had taken over, and was first.
      const second = results.run('taken', async (context) => {
        await insert(context, 'taken')
        await results.set('taken', 'of the first')
        return 'of the second'
      }, { transaction }) // biome-ignore format: one call
      assert.deepEqual([await second, await effects('taken')], ['of the first', 0])
    })

    test('what is no transaction is refused, with what to pass instead', async () => {
      for (const [what, make] of Object.entries(opened.refused)) {
        assert.throws(
          make,
          { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: /^The "\w+" argument must be / },
          what,
        )
      }
    })
  })
}

module.exports = { testLibrary }
