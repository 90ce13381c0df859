// @ts-check
// Known differences that no random sequence shows: each a scenario that runs on an empty schema of either side, and
// what comes of it there.
'use strict'

const crypto = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')
const { startProxy } = require('../proxy.js')
const { connections } = require('./connection-scenarios.js')

/** @typedef {import('./drivers.js').Side} Side */

/**
 * @typedef {object} Scenario
 * @property {(side: Side) => Promise<unknown>} run
 * @property {unknown} theirs what comes of it
 * @property {unknown} ours
 * @property {string} [settings] of the sides' sessions
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
 * @param {Side} side
 * @param {string} statement that takes hold
 * @param {'COMMIT' | 'ROLLBACK'} end
 * @param {() => Promise<unknown>[]} work
 * @param {(work: Promise<unknown>[]) => Promise<unknown>} until when the transaction ends
 */
async function whileHeld(side, statement, end, work, until) {
  const holder = await side.db.plain.connect()
  try {
    await holder.query(`BEGIN; SET LOCAL search_path = ${side.schema}; ${statement}`)
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
 * @param {Side} side
 * @param {number} count
 */
async function waiting(side, count) {
  const waiters = `SELECT count(*)::int AS n FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'`
  while ((await side.db.query(waiters))[0].n < count) await sleep(5)
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
 * @param {Side} side
 * @param {string} type of its whole numbers
 */
async function makeCheckpoints(side, type) {
  await side.db.query(`CREATE TABLE ${side.schema}.go_goscope_checkpoints (
    id TEXT PRIMARY KEY, task_id TEXT NOT NULL, sequence ${type} NOT NULL, timestamp BIGINT NOT NULL,
    progress DOUBLE PRECISION NOT NULL, data JSONB NOT NULL, estimated_time_remaining ${type},
    created_at TIMESTAMP DEFAULT NOW())`)
}

const checkpoint = (/** @type {any} */ data) => ({ id: 'c', taskId: 't', sequence: 1, timestamp: 1, progress: 0, data })

/** @type {Record<string, Scenario>} by the id of the difference */
const scenarios = {
  'one-clock': {
    async run(side) {
      const adapter = side.adapter()
      await adapter.connect()
      await adapter.acquire('report', 30 * MINUTE, 'holder')
      return await withClock(60 * MINUTE, () => takes(adapter.acquire('report', 30 * MINUTE, 'another process')))
    },
    theirs: 'taken',
    ours: 'busy',
  },

  'time-zones': {
    settings: '-c TimeZone=Asia/Tokyo',
    async run(side) {
      const adapter = side.adapter()
      await adapter.connect()
      await adapter.set('key', 'value', 60 * MINUTE)
      return await adapter.get('key')
    },
    theirs: null,
    ours: 'value',
  },

  'atomic-failures': {
    async run(side) {
      const adapters = [side.adapter(), side.adapter({}, side.newPool())]
      await adapters[0].connect()
      await adapters[0].recordFailure('payments', 10)
      const hold = "SELECT FROM go_goscope_circuit WHERE key = 'circuit:payments' FOR UPDATE"
      const failures = () => adapters.map((it) => it.recordFailure('payments', 10))
      const counts = await whileHeld(side, hold, 'COMMIT', failures, () => waiting(side, 2))
      return counts.sort()
    },
    theirs: [2, 2],
    ours: [2, 3],
  },

  'atomic-acquire': {
    async run(side) {
      const adapters = [side.adapter(), side.adapter({}, side.newPool())]
      await adapters[0].connect()
      const hold = "INSERT INTO go_goscope_locks VALUES ('lock:report', 'a third', '2100-01-01')"
      const work = () => adapters.map((it) => takes(it.acquire('report', MINUTE)))
      return (await whileHeld(side, hold, 'ROLLBACK', work, () => waiting(side, 2))).sort()
    },
    theirs: ['23505', 'taken'],
    ours: ['busy', 'taken'],
  },

  'locked-rows': {
    settings: '-c TimeZone=UTC -c default_transaction_isolation=read\\ committed -c lock_timeout=200ms',
    async run(side) {
      const adapter = side.adapter()
      await adapter.connect()
      await side.db.query(`INSERT INTO ${side.schema}.go_goscope_locks VALUES ('lock:expired', 'x', '2020-01-01')`)
      const hold = 'SELECT FROM go_goscope_locks FOR UPDATE'
      const work = () => [takes(adapter.acquire('another', MINUTE))]
      const [outcome] = await whileHeld(side, hold, 'COMMIT', work, (pending) => Promise.all(pending))
      return outcome
    },
    theirs: '55P03',
    ours: 'taken',
  },

  'expired-locks': {
    async run(side) {
      const adapter = side.adapter()
      await adapter.connect()
      const table = `${side.schema}.go_goscope_locks`
      await side.db.query(
        `INSERT INTO ${table} SELECT 'lock:' || n, 'x', '2020-01-01' FROM generate_series(1, 1000) AS n`,
      )
      await adapter.acquire('another', MINUTE)
      const [{ n }] = await side.db.query(`SELECT count(*)::int AS n FROM ${table}`)
      return n === 1001 ? 'none removed' : n === 1 ? 'all removed' : 'some removed'
    },
    theirs: 'all removed',
    ours: 'some removed',
  },

  'call-order': {
    async run(side) {
      const adapter = side.adapter()
      await adapter.connect()
      await adapter.set('key', 'old')
      const hold = 'SELECT FROM go_goscope_cache FOR UPDATE'
      const calls = () => [adapter.set('key', 'new'), adapter.get('key')]
      const [, value] = await whileHeld(side, hold, 'COMMIT', calls, async ([, read]) => {
        await waiting(side, 1)
        // Theirs does not wait for the write that was called before it. Ours does, so it has no end before the write.
        if (side.name === 'reference') await read
      })
      return value
    },
    theirs: 'old',
    ours: 'new',
  },

  'lost-connections': {
    async run(side) {
      const proxy = await startProxy(side.db.url)
      const pool = side.newPool({ connectionString: proxy.url })
      try {
        const adapter = side.adapter({}, pool)
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
    async run(side) {
      const adapter = side.adapter()
      await adapter.connect()
      return await failureOf(adapter.save(checkpoint(1)))
    },
    theirs: '42P01',
    ours: 'done',
  },

  'first-use': {
    run: (side) => failureOf(side.adapter().set('key', 1)),
    theirs: '42P01',
    ours: 'done',
  },

  'no-needless-ddl': {
    async run(side) {
      // Whoever rolls the application out has made the tables; the application itself may not.
      await side.adapter().connect()
      if (side.name === 'reference') await makeCheckpoints(side, 'BIGINT')
      const options = `-c search_path=${side.schema} -c default_transaction_read_only=on`
      const pool = side.newPool({ options })
      return await failureOf(side.adapter({}, pool).connect())
    },
    theirs: '25006',
    ours: 'done',
  },

  'foreign-tables': {
    async run(side) {
      const role = `goscope_test_${crypto.randomUUID()}`
      await side.adapter().connect()
      await side.db.query(`CREATE ROLE "${role}"; ALTER TABLE ${side.schema}.go_goscope_cache OWNER TO "${role}"`)
      try {
        return await failureOf(side.adapter().set('key', 1))
      } finally {
        await side.db.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`)
      }
    },
    theirs: 'done',
    ours: 'ERR_GOSCOPE_TABLE_OWNER',
  },

  'checkpoint-prefix': {
    async run(side) {
      if (side.name === 'reference') await makeCheckpoints(side, 'BIGINT')
      const [shop, blog] = ['shop:', 'blog:'].map((keyPrefix) => side.adapter({ keyPrefix }))
      await shop.save(checkpoint("shop's"))
      await blog.save(checkpoint("blog's"))
      return (await shop.load('c')).data
    },
    theirs: "blog's",
    ours: "shop's",
  },

  'zero-estimate': {
    async run(side) {
      await makeCheckpoints(side, 'INTEGER')
      await side.adapter().save({ ...checkpoint(1), estimatedTimeRemaining: 0 })
      return (await side.adapter().load('c')).estimatedTimeRemaining
    },
    theirs: undefined,
    ours: 0,
  },

  'any-key': {
    async run(side) {
      const [adapter, results, cache] = [side.adapter(), side.results(), side.cache()]
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
    async run(side) {
      await side.adapter().connect()
      await side.cache().initialize()
      const indexes = `SELECT count(*)::int AS n FROM pg_indexes WHERE schemaname = $1 AND tablename = 'cache'`
      const [{ n }] = await side.db.query(indexes, [side.schema])
      return `${n - 1} beside the primary key`
    },
    theirs: '0 beside the primary key',
    ours: '1 beside the primary key',
  },

  'table-names': {
    async run(side) {
      const names = ['web-sessions', `${side.schema}.sessions`, 'select']
      return await Promise.all(names.map((tableName) => failureOf(side.cache({ tableName }).initialize())))
    },
    theirs: ['42601', '42601', '42601'],
    ours: ['done', 'done', 'done'],
  },

  'default-lock-ttl': {
    async run(side) {
      const adapter = side.adapter({ defaultLockTTL: MINUTE })
      await adapter.connect()
      return await takes(adapter.acquire('report'))
    },
    theirs: '22007',
    ours: 'taken',
  },

  'create-tables': {
    async run(side) {
      await side.adapter({ createTables: false }).connect()
      const tables = 'SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = $1'
      return (await side.db.query(tables, [side.schema]))[0].n
    },
    theirs: 3,
    ours: 0,
  },

  'is-connected': {
    async run(side) {
      await side.adapter().connect()
      const pool = side.newPool({ idleTimeoutMillis: 10 })
      const adapter = side.adapter({}, pool)
      await adapter.connect()
      const isConnected = adapter.isConnected()
      while (pool.totalCount > 0) await sleep(5)
      return [isConnected, adapter.isConnected()]
    },
    theirs: [true, false],
    ours: [true, true],
  },

  'disconnect-twice': {
    async run(side) {
      const adapter = side.adapter({}, side.newPool())
      await adapter.disconnect()
      return await failureOf(adapter.disconnect())
    },
    theirs: 'Called end on pool more than once',
    ours: 'done',
  },

  ...connections,
}

module.exports = { scenarios }
