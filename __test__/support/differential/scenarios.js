// @ts-check
// Known differences that no random sequence shows: each a scenario that runs on an empty schema of either driver, and
// what comes of it there.
'use strict'

const crypto = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')
const { startProxy } = require('../proxy.js')
const { connections } = require('./connection-scenarios.js')

/** @typedef {import('./drivers.js').Driver} Driver */

/**
 * @typedef {object} Scenario
 * @property {(driver: Driver) => Promise<unknown>} run
 * @property {unknown} theirs what comes of it
 * @property {unknown} ours
 * @property {string} [settings] of the drivers' sessions
 */

const MINUTE = 60_000

/** The error's code, or its message where it has none; `'done'` if there is no error. */
const failureOf = (/** @type {Promise<unknown>} */ work) =>
  work.then(
    () => 'done',
    (error) => error.code ?? error.message,
  )

/** @param {Promise<unknown>} acquired */
const takes = (acquired) =>
  acquired.then(
    (handle) => (handle ? 'taken' : 'busy'),
    (error) => error.code,
  )

/**
 * Does work while an open transaction holds something.
 *
 * @param {Driver} driver
 * @param {string} statement that takes hold
 * @param {'COMMIT' | 'ROLLBACK'} end
 * @param {() => Promise<unknown>[]} work
 * @param {(work: Promise<unknown>[]) => Promise<unknown>} until when the transaction ends
 */
async function whileHeld(driver, statement, end, work, until) {
  const holder = await driver.db.plain.connect()
  try {
    await holder.query(`BEGIN; SET LOCAL search_path = ${driver.schema}; ${statement}`)
    const pending = work()
    await until(pending)
    await holder.query(end)
    return await Promise.all(pending)
  } finally {
    await holder.query('ROLLBACK')
    holder.release()
  }
}

/**
 * Until that many sessions wait for a lock of another.
 *
 * @param {Driver} driver
 * @param {number} count
 */
async function waiting(driver, count) {
  const waiters = `SELECT count(*)::int AS n FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'`
  while ((await driver.db.query(waiters))[0].n < count) await sleep(5)
}

/**
 * As in a process whose clock is ahead.
 *
 * @template T
 * @param {number} ahead
 * @param {() => Promise<T>} work
 */
async function withClock(ahead, work) {
  const RealDate = Date
  globalThis.Date = /** @type {any} */ (
    class extends RealDate {
      /** @param {any[]} given */
      constructor(...given) {
        // @ts-expect-error a Date takes what it is given
        super(...(given.length > 0 ? given : [RealDate.now() + ahead]))
      }

      static now() {
        return RealDate.now() + ahead
      }
    }
  )
  try {
    return await work()
  } finally {
    globalThis.Date = RealDate
  }
}

/**
 * The checkpoints' table as other versions of the schema have it.
 *
 * @param {Driver} driver
 * @param {string} type of its whole numbers
 */
async function makeCheckpoints(driver, type) {
  await driver.db.query(`CREATE TABLE ${driver.schema}.go_goscope_checkpoints (
    id TEXT PRIMARY KEY, task_id TEXT NOT NULL, sequence ${type} NOT NULL, timestamp BIGINT NOT NULL,
    progress DOUBLE PRECISION NOT NULL, data JSONB NOT NULL, estimated_time_remaining ${type},
    created_at TIMESTAMP DEFAULT NOW())`)
}

const checkpoint = (/** @type {any} */ data) => ({ id: 'c', taskId: 't', sequence: 1, timestamp: 1, progress: 0, data })

/** @type {Record<string, Scenario>} by the id of the difference */
const scenarios = {
  'one-clock': {
    async run(driver) {
      const adapter = driver.adapter()
      await adapter.connect()
      await adapter.acquire('report', 30 * MINUTE, 'holder')
      return await withClock(60 * MINUTE, () => takes(adapter.acquire('report', 30 * MINUTE, 'another process')))
    },
    theirs: 'taken',
    ours: 'busy',
  },

  'time-zones': {
    settings: '-c TimeZone=Asia/Tokyo',
    async run(driver) {
      const adapter = driver.adapter()
      await adapter.connect()
      await adapter.set('key', 'value', 60 * MINUTE)
      return await adapter.get('key')
    },
    theirs: null,
    ours: 'value',
  },

  'atomic-failures': {
    async run(driver) {
      const adapters = [driver.adapter(), driver.adapter({}, driver.newPool())]
      await adapters[0].connect()
      await adapters[0].recordFailure('payments', 10)
      const hold = "SELECT FROM go_goscope_circuit WHERE key = 'circuit:payments' FOR UPDATE"
      const failures = () => adapters.map((it) => it.recordFailure('payments', 10))
      const counts = await whileHeld(driver, hold, 'COMMIT', failures, () => waiting(driver, 2))
      return counts.sort()
    },
    theirs: [2, 2],
    ours: [2, 3],
  },

  'atomic-acquire': {
    async run(driver) {
      const adapters = [driver.adapter(), driver.adapter({}, driver.newPool())]
      await adapters[0].connect()
      const hold = "INSERT INTO go_goscope_locks VALUES ('lock:report', 'a third', '2100-01-01')"
      const work = () => adapters.map((it) => takes(it.acquire('report', MINUTE)))
      return (await whileHeld(driver, hold, 'ROLLBACK', work, () => waiting(driver, 2))).sort()
    },
    theirs: ['23505', 'taken'],
    ours: ['busy', 'taken'],
  },

  'locked-rows': {
    settings: '-c TimeZone=UTC -c default_transaction_isolation=read\\ committed -c lock_timeout=200ms',
    async run(driver) {
      const adapter = driver.adapter()
      await adapter.connect()
      await driver.db.query(`INSERT INTO ${driver.schema}.go_goscope_locks VALUES ('lock:expired', 'x', '2020-01-01')`)
      const hold = 'SELECT FROM go_goscope_locks FOR UPDATE'
      const work = () => [takes(adapter.acquire('another', MINUTE))]
      const [outcome] = await whileHeld(driver, hold, 'COMMIT', work, (pending) => Promise.all(pending))
      return outcome
    },
    theirs: '55P03',
    ours: 'taken',
  },

  'expired-locks': {
    async run(driver) {
      const adapter = driver.adapter()
      await adapter.connect()
      const table = `${driver.schema}.go_goscope_locks`
      await driver.db.query(
        `INSERT INTO ${table} SELECT 'lock:' || n, 'x', '2020-01-01' FROM generate_series(1, 1000) AS n`,
      )
      await adapter.acquire('another', MINUTE)
      const [{ n }] = await driver.db.query(`SELECT count(*)::int AS n FROM ${table}`)
      return n === 1001 ? 'none removed' : n === 1 ? 'all removed' : 'some removed'
    },
    theirs: 'all removed',
    ours: 'some removed',
  },

  'call-order': {
    async run(driver) {
      const adapter = driver.adapter()
      await adapter.connect()
      await adapter.set('key', 'old')
      const hold = 'SELECT FROM go_goscope_cache FOR UPDATE'
      const calls = () => [adapter.set('key', 'new'), adapter.get('key')]
      const [, value] = await whileHeld(driver, hold, 'COMMIT', calls, async ([, read]) => {
        await waiting(driver, 1)
        // Theirs does not wait for the write that was called before it. Ours does, so it has no end before the write.
        if (driver.name === 'reference') await read
      })
      return value
    },
    theirs: 'old',
    ours: 'new',
  },

  'lost-connections': {
    async run(driver) {
      const proxy = await startProxy(driver.db.url)
      const pool = driver.newPool({ connectionString: proxy.url })
      try {
        const adapter = driver.adapter({}, pool)
        await adapter.connect()
        const lock = await adapter.acquire('report', MINUTE)
        proxy.loseNextAnswerTo('DELETE FROM')
        return (await failureOf(lock.release())) === 'done' ? 'released' : 'rejected'
      } finally {
        await pool.end()
        await proxy.stop()
      }
    },
    theirs: 'rejected',
    ours: 'released',
  },

  'checkpoints-table': {
    async run(driver) {
      const adapter = driver.adapter()
      await adapter.connect()
      return await failureOf(adapter.save(checkpoint(1)))
    },
    theirs: '42P01',
    ours: 'done',
  },

  'first-use': {
    run: (driver) => failureOf(driver.adapter().set('key', 1)),
    theirs: '42P01',
    ours: 'done',
  },

  'no-needless-ddl': {
    async run(driver) {
      // Whoever rolls the application out has made the tables; the application itself may not.
      await driver.adapter().connect()
      if (driver.name === 'reference') await makeCheckpoints(driver, 'BIGINT')
      const options = `-c search_path=${driver.schema} -c default_transaction_read_only=on`
      const pool = driver.newPool({ options })
      return await failureOf(driver.adapter({}, pool).connect())
    },
    theirs: '25006',
    ours: 'done',
  },

  'foreign-tables': {
    async run(driver) {
      const role = `goscope_test_${crypto.randomUUID()}`
      await driver.adapter().connect()
      await driver.db.query(`CREATE ROLE "${role}"; ALTER TABLE ${driver.schema}.go_goscope_cache OWNER TO "${role}"`)
      try {
        return await failureOf(driver.adapter().set('key', 1))
      } finally {
        await driver.db.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`)
      }
    },
    theirs: 'done',
    ours: 'ERR_GOSCOPE_TABLE_OWNER',
  },

  'checkpoint-prefix': {
    async run(driver) {
      if (driver.name === 'reference') await makeCheckpoints(driver, 'BIGINT')
      const [shop, blog] = ['shop:', 'blog:'].map((keyPrefix) => driver.adapter({ keyPrefix }))
      await shop.save(checkpoint("shop's"))
      await blog.save(checkpoint("blog's"))
      return (await shop.load('c')).data
    },
    theirs: "blog's",
    ours: "shop's",
  },

  'zero-estimate': {
    async run(driver) {
      await makeCheckpoints(driver, 'INTEGER')
      await driver.adapter().save({ ...checkpoint(1), estimatedTimeRemaining: 0 })
      return (await driver.adapter().load('c')).estimatedTimeRemaining
    },
    theirs: undefined,
    ours: 0,
  },

  'any-key': {
    async run(driver) {
      const [adapter, results, cache] = [driver.adapter(), driver.results(), driver.cache()]
      await adapter.connect()
      await results.connect()
      await cache.initialize()
      // Nothing that could be compressed into fitting.
      const long = Array.from({ length: 3_000 }, (_, n) => String.fromCharCode(33 + ((n * n * 7) % 8_000))).join('')
      const calls = [adapter.set(long, 1), results.set('x'.repeat(256), 1), cache.set('x'.repeat(513), 1)]
      const outcomes = await Promise.all(calls.map(failureOf))
      await adapter.set('\ud800', 'the first')
      await adapter.set('\udc00', 'the second')
      return [...outcomes, await adapter.get('\ud800')]
    },
    theirs: ['54000', '22001', '22001', 'the second'],
    ours: ['done', 'done', 'done', 'the first'],
  },

  'index-names': {
    async run(driver) {
      await driver.adapter().connect()
      await driver.cache().initialize()
      const indexes = `SELECT count(*)::int AS n FROM pg_indexes WHERE schemaname = $1 AND tablename = 'cache'`
      const [{ n }] = await driver.db.query(indexes, [driver.schema])
      return `${n - 1} beside the primary key`
    },
    theirs: '0 beside the primary key',
    ours: '1 beside the primary key',
  },

  'table-names': {
    async run(driver) {
      const names = ['web-sessions', `${driver.schema}.sessions`, 'select']
      return await Promise.all(names.map((tableName) => failureOf(driver.cache({ tableName }).initialize())))
    },
    theirs: ['42601', '42601', '42601'],
    ours: ['done', 'done', 'done'],
  },

  'default-lock-ttl': {
    async run(driver) {
      const adapter = driver.adapter({ defaultLockTTL: MINUTE })
      await adapter.connect()
      return await takes(adapter.acquire('report'))
    },
    theirs: '22007',
    ours: 'taken',
  },

  'create-tables': {
    async run(driver) {
      await driver.adapter({ createTables: false }).connect()
      const tables = 'SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = $1'
      return (await driver.db.query(tables, [driver.schema]))[0].n
    },
    theirs: 3,
    ours: 0,
  },

  'is-connected': {
    async run(driver) {
      await driver.adapter().connect()
      const pool = driver.newPool({ idleTimeoutMillis: 10 })
      const adapter = driver.adapter({}, pool)
      await adapter.connect()
      const isConnected = adapter.isConnected()
      while (pool.totalCount > 0) await sleep(5)
      return [isConnected, adapter.isConnected()]
    },
    theirs: [true, false],
    ours: [true, true],
  },

  'disconnect-twice': {
    async run(driver) {
      const adapter = driver.adapter({}, driver.newPool())
      await adapter.disconnect()
      return await failureOf(adapter.disconnect())
    },
    theirs: 'Called end on pool more than once',
    ours: 'done',
  },

  ...connections,
}

module.exports = { scenarios }
