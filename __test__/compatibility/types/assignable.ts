// Compiled, never run: the package's types are assignable to go-go-scope's, they infer what they should, and they
// refuse what is wrong. Each `@ts-expect-error` fails the compilation if the line beneath it is accepted.

import * as goscope from 'goscope-postgres'
import { type EmbeddedPostgres, startPostgres } from 'goscope-postgres/embedded'
import { Client, Pool } from 'pg'
import type * as scope from './go-go-scope.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles for `true` alone. */
type Expect<T extends true> = T

const pool = new Pool({ connectionString: 'postgresql://localhost/app' })
const adapter = new goscope.PostgresAdapter(pool, { keyPrefix: 'app:', defaultLockTTL: 30_000, createTables: false })
const cache = new goscope.PostgresCacheAdapter(pool, { tableName: 'app.cache', keyPrefix: 'app:', createTables: true })
const results = new goscope.PostgresIdempotencyAdapter(pool, { keyPrefix: 'app:', createTables: true })
new goscope.PostgresAdapter(pool)
new goscope.PostgresCacheAdapter(pool)
new goscope.PostgresIdempotencyAdapter(pool)

// go-go-scope takes the adapters

export const providers: {
  locks: scope.LockProvider
  circuits: scope.CircuitBreakerStateProvider
  caches: scope.CacheProvider[]
  checkpoints: scope.CheckpointProvider
  idempotency: scope.IdempotencyProvider
  persistence: scope.PersistenceAdapter
  scope: scope.PersistenceProviders
} = {
  locks: adapter,
  circuits: adapter,
  caches: [adapter, cache],
  checkpoints: adapter,
  idempotency: results,
  persistence: adapter,
  scope: adapter,
}
export const fromScope: scope.LockProvider | undefined = providers.scope.lock
/** The groups of methods. */
export const grouped: {
  locks: scope.LockProvider
  circuits: scope.CircuitBreakerStateProvider
  cache: scope.CacheProvider
  checkpoints: scope.CheckpointProvider
} = adapter
export const made: goscope.PostgresAdapter = goscope.createPostgresAdapter(pool, { keyPrefix: 'app:' })
export const onClient = new goscope.PostgresAdapter(new Client())
export const onWrapped = new goscope.PostgresAdapter({ totalCount: 0, end: () => pool.end() })
export const dated = adapter.setState('key', { state: 'open', failureCount: 1, lastFailureTime: new Date() })

// The exported interfaces are go-go-scope's, in both directions

export type Interfaces = [
  Expect<Equal<goscope.LockHandle, scope.LockHandle>>,
  Expect<Equal<goscope.LockProvider, scope.LockProvider>>,
  Expect<Equal<goscope.CircuitBreakerPersistedState, scope.CircuitBreakerPersistedState>>,
  Expect<Equal<goscope.CacheProvider, scope.CacheProvider>>,
  Expect<Equal<goscope.Checkpoint<Date>, scope.Checkpoint<Date>>>,
  Expect<Equal<goscope.CheckpointProvider, scope.CheckpointProvider>>,
  Expect<Equal<goscope.IdempotencyProvider, scope.IdempotencyProvider>>,
  Expect<Equal<goscope.PersistenceAdapter, scope.PersistenceAdapter>>,
  Expect<Equal<goscope.CircuitBreakerStateProvider, scope.CircuitBreakerStateProvider>>,
]

// What the methods give

export async function whatTheMethodsGive() {
  const lock = await adapter.acquire('key', 1000, 'owner')
  const state = await adapter.getState('key')
  const value = await adapter.get<{ name: string }>('key')
  const untyped = await cache.get('key')
  const latest = await adapter.loadLatest<number[]>('task')
  const list = await adapter.list('task')
  const result = await results.get<[undefined, string]>('key')
  const stats = await cache.stats()
  const grouped = {
    lock: await adapter.locks.acquire('key'),
    lease: await adapter.locks.lock('key', { wait: 0 }),
    holder: await adapter.locks.holder('key'),
    value: await adapter.cache.get<{ name: string }>('key'),
    computed: await adapter.cache.getOrSet('key', () => new Date()),
    counted: await adapter.circuits.recordFailure('key'),
    latest: await adapter.checkpoints.loadLatest<number[]>('task'),
  }
  const entry = await adapter.getEntry<{ name: string }>('key')
  const many = await adapter.getMany<{ name: string }>(['a', 'b'])
  await cache.setMany(
    [
      ['a', 1],
      ['b', { b: 2 }, 1000],
    ],
    60_000,
  )
  await cache.setMany(new Map([['a', 1]]))
  const deleted = await adapter.deleteMany(new Set(['a']))
  const counted = await cache.incrementEntry('n', 1, 60_000)
  const paged = [await adapter.keys({ prefix: 'a', limit: 1, after: 'b' }), await cache.keys({})]
  const iterated: AsyncIterableIterator<string> = adapter.cache.iterateKeys({ prefix: 'a', pageSize: 10 })
  await cache.clear({ prefix: 'a' })
  const taken = await cache.take<number[]>('key')
  const semaphore: goscope.Semaphore = adapter.semaphore('uploads', 5)
  const permit = await adapter.locks.semaphore('uploads', 5).acquire({ ttl: 1000, wait: 0 })
  const held: [number, goscope.LockHolder[]] = [permit.permit, await semaphore.holders()]
  const released: boolean = await adapter.release('key', 'owner')
  const once = await adapter.acquire('key', 1000, 'owner', { reentrant: false })
  const checkpoints: goscope.CheckpointOperations = adapter.checkpoints
  await adapter.saveMany([{ id: 'c', taskId: 't', sequence: 1, timestamp: 1, progress: 1, data: { row: 1 } }])
  const parts = [await adapter.list('t', { limit: 1, before: 2, order: 'desc' }), await checkpoints.list('t')]
  const tasks = [await adapter.listTasks(), await checkpoints.listTasks({ prefix: 't', limit: 1, after: 't' })]
  const iteratedTasks: AsyncIterableIterator<string> = adapter.checkpoints.iterateTasks({ prefix: 't', pageSize: 10 })
  const operations: goscope.CacheOperations[] = [adapter, cache]
  const computed = await cache.getOrSet('key', async ({ signal }) => ({ n: 1, aborted: signal.aborted }), {
    ttl: 1000,
    staleTtl: 1000,
    claimTtl: 1000,
    wait: 1000,
    signal: AbortSignal.timeout(1),
    onError: 'compute',
  })
  const ran = await results.run('key', () => 'done', {
    ttl: 1000,
    fingerprint: 'f',
    wait: undefined,
    signal: undefined,
  })
  const methods = {
    sum: await operations[0].increment('n', 2, 1000),
    stored: await cache.compareAndSet('key', undefined, 1, 1000),
    extended: await adapter.extend('key', 1000, 'owner'),
    failures: await adapter.recordFailure('key', 5),
    counted: await adapter.recordFailure('key'),
    mayTry: await adapter.tryProbe('key', 30_000),
    unsubscribe: adapter.subscribe('key', ({ state, failureCount }) => [state === 'half-open', failureCount + 1]),
    has: await adapter.has('key'),
    touched: [await adapter.touch('key', 1000), await cache.touch('key')],
    keys: await adapter.keys('user:%'),
    connected: adapter.isConnected(),
    pruned: await cache.prune(),
    initialized: cache.initialize(),
    disconnected: adapter.disconnect(),
  }
  return [
    null as never as Expect<Equal<typeof lock, goscope.Lease | null>>,
    null as never as Expect<Equal<typeof state, goscope.CircuitBreakerPersistedState | null>>,
    null as never as Expect<Equal<typeof value, { name: string } | null>>,
    null as never as Expect<Equal<typeof untyped, unknown>>,
    null as never as Expect<Equal<typeof counted, goscope.CacheEntry<number>>>,
    null as never as Expect<Equal<typeof paged, string[][]>>,
    null as never as Expect<Equal<typeof parts, goscope.Checkpoint<unknown>[][]>>,
    held,
    released,
    null as never as Expect<Equal<typeof once, goscope.Lease | null>>,
    tasks,
    iteratedTasks,
    iterated,
    null as never as Expect<Equal<typeof deleted, boolean[]>>,
    null as never as Expect<Equal<typeof taken, number[] | null>>,
    null as never as Expect<Equal<typeof entry, goscope.CacheEntry<{ name: string }> | null>>,
    null as never as Expect<Equal<typeof many, ({ name: string } | null)[]>>,
    null as never as Expect<Equal<typeof computed, { n: number; aborted: boolean }>>,
    null as never as Expect<Equal<typeof ran, string>>,
    null as never as Expect<Equal<typeof latest, goscope.Checkpoint<number[]> | undefined>>,
    null as never as Expect<Equal<typeof list, goscope.Checkpoint<unknown>[]>>,
    null as never as Expect<Equal<typeof result, { value: [undefined, string]; expiresAt?: number } | null>>,
    null as never as Expect<Equal<typeof stats, goscope.CacheStats>>,
    null as never as Expect<
      Equal<
        typeof grouped,
        {
          lock: goscope.Lease | null
          lease: goscope.Lease
          holder: goscope.LockHolder | null
          value: { name: string } | null
          computed: string
          counted: number
          latest: goscope.Checkpoint<number[]> | undefined
        }
      >
    >,
    null as never as Expect<
      Equal<
        typeof methods,
        {
          sum: number
          stored: boolean
          extended: boolean
          failures: number
          counted: number
          mayTry: boolean
          unsubscribe: () => void
          has: boolean
          touched: boolean[]
          keys: string[]
          connected: boolean
          pruned: number
          initialized: Promise<void>
          disconnected: Promise<void>
        }
      >
    >,
  ]
}

export async function throwawayServer() {
  await using server = await startPostgres({
    settings: { max_connections: 20, fsync: false },
    port: 5433,
    package: 'pg18',
  })
  await server.stop()
  const plain = await startPostgres()
  return [
    null as never as Expect<Equal<typeof server, EmbeddedPostgres>>,
    null as never as Expect<Equal<typeof plain.url, string>>,
    null as never as Expect<Equal<typeof plain.port, number>>,
  ]
}

/** Under `exactOptionalPropertyTypes`, too, what an application may not have set is as good as left out. */
export function unset(given: { text?: string | undefined; number?: number | undefined; flag?: boolean | undefined }) {
  const { text, number, flag } = given
  const prefix = { keyPrefix: text, createTables: flag }
  return [
    new goscope.PostgresAdapter(pool, { ...prefix, defaultLockTTL: number, cacheDurability: undefined }),
    new goscope.PostgresCacheAdapter(pool, { ...prefix, tableName: text, durability: undefined }),
    new goscope.PostgresIdempotencyAdapter(
      { host: text, port: number, max: number, ssl: flag, password: text },
      prefix,
    ),
    adapter.lock('key', {
      ttl: number,
      wait: number,
      renew: flag,
      owner: text,
      signal: undefined,
      onReleaseError: undefined,
    }),
    adapter.getOrSet('key', () => 1, {
      ttl: number,
      staleTtl: number,
      claimTtl: number,
      onError: undefined,
      wait: number,
    }),
    results.run('key', () => 1, { ttl: number, claimTtl: number, fingerprint: text, wait: number, signal: undefined }),
    cache.setMany([['key', 1, number]], number),
    startPostgres({ settings: undefined, port: number, package: text }),
  ]
}

/** Every form of the first argument. */
export const sources = [
  new goscope.PostgresAdapter(pool),
  new goscope.PostgresAdapter('postgresql://localhost/app'),
  new goscope.PostgresCacheAdapter({ host: 'db', port: 5432, password: async () => 'secret', ssl: { ca: '' } }),
  new goscope.PostgresIdempotencyAdapter(),
]

// The end

export async function theEnd() {
  await using own = new goscope.PostgresAdapter()
  await using _cache = new goscope.PostgresCacheAdapter(pool)
  await using _results = new goscope.PostgresIdempotencyAdapter(pool)
  const all: goscope.AdapterLifeCycle[] = [own, _cache, _results]
  for (const each of all) await Promise.all([each.ping(), each.close(), each.disconnect()])
}

// Seen from outside

export function seenFromOutside() {
  const metrics: goscope.Metrics[] = [adapter.metrics(), cache.metrics(), results.metrics()]
  const acquires = metrics[0]?.operations['locks.acquire']
  const numbers: (number | undefined)[] = [
    acquires?.calls,
    acquires?.errors['23505'],
    acquires && goscope.quantile(acquires.latency, 0.99),
    metrics[0]?.pool.open,
    metrics[0]?.pipelines.blocked,
    metrics[0]?.calls.inFlight,
    metrics[0]?.statements.bounds[0],
  ]
  const names: readonly string[] = goscope.operations
  const first: 'cache.clear' = goscope.operations[0]
  const operation: goscope.Operation = 'locks.acquire'
  // @ts-expect-error there is no such operation
  const none: goscope.Operation = 'locks.aquire'
  const context: goscope.TraceContext = { operation: 'cache.get', key: 'key', host: 'db', port: 5432, database: 'app' }
  // @ts-expect-error what was counted cannot be changed
  metrics[0].batches = 0
  // @ts-expect-error a histogram, and not what holds it
  goscope.quantile(acquires, 0.99)
  // @ts-expect-error the names are fixed
  goscope.operations.push('mine')
  // @ts-expect-error nothing secret is there
  return [numbers, names, first, operation, none, context.value]
}

// What must not compile

export function wrongUses() {
  // @ts-expect-error no such setting
  new goscope.PostgresAdapter({ databse: 'app' })
  // @ts-expect-error a port is a number
  new goscope.PostgresAdapter({ host: 'db', port: true })
  // @ts-expect-error no such option
  new goscope.PostgresAdapter(pool, { prefix: 'app:' })
  // @ts-expect-error milliseconds, not text
  new goscope.PostgresAdapter(pool, { defaultLockTTL: '30s' })
  // @ts-expect-error true or false
  new goscope.PostgresAdapter(pool, { createTables: 'no' })
  // @ts-expect-error true or false
  new goscope.PostgresCacheAdapter(pool, { createTables: 'no' })
  // @ts-expect-error true or false
  new goscope.PostgresIdempotencyAdapter(pool, { createTables: 'no' })
  // @ts-expect-error the table of PostgresAdapter has its documented name
  new goscope.PostgresAdapter(pool, { tableName: 'cache' })
  // @ts-expect-error one of three words
  new goscope.PostgresAdapter(pool, { cacheDurability: 'none' })
  // @ts-expect-error one of three words
  new goscope.PostgresCacheAdapter(pool, { durability: 'none' })
  // @ts-expect-error no locks here
  new goscope.PostgresCacheAdapter(pool, { defaultLockTTL: 1000 })

  return [
    // @ts-expect-error a lock has a name
    adapter.acquire(),
    // @ts-expect-error keys are strings
    adapter.acquire(42, 1000),
    // @ts-expect-error an extension names its owner
    adapter.extend('key', 1000),
    // @ts-expect-error no such state
    adapter.setState('key', { state: 'half', failureCount: 0 }),
    // @ts-expect-error a state has a count
    adapter.setState('key', { state: 'open' }),
    // @ts-expect-error times are numbers or dates
    adapter.setState('key', { state: 'open', failureCount: 1, lastFailureTime: '2026-01-01' }),
    // @ts-expect-error a probe waits for some time
    adapter.tryProbe('key'),
    // @ts-expect-error there is no such state
    adapter.subscribe('key', ({ state }) => state === 'ajar'),
    // @ts-expect-error a callback is required
    adapter.subscribe('key'),
    // @ts-expect-error not the type that was asked for
    adapter.get<string>('key').then((value: number) => value),
    // @ts-expect-error a miss is null
    adapter.get<string>('key').then((value: string) => value),
    // @ts-expect-error an entry is a key and a value
    adapter.setMany(['key']),
    // @ts-expect-error a miss is null
    adapter.getMany<string>(['key']).then((values: string[]) => values),
    // @ts-expect-error what computes is a function
    adapter.getOrSet('key', 1),
    // @ts-expect-error times are milliseconds
    adapter.getOrSet('key', () => 1, { ttl: '1 minute' }),
    // @ts-expect-error one of two words
    adapter.getOrSet('key', () => 1, { onError: 'ignore' }),
    // @ts-expect-error a fingerprint is text
    results.run('key', () => 1, { fingerprint: 1 }),
    // @ts-expect-error what is added is a number
    adapter.increment('key', '1'),
    // @ts-expect-error a value is stored
    adapter.compareAndSet('key', undefined),
    // @ts-expect-error a limit is a number
    adapter.keys({ limit: '1' }),
    // @ts-expect-error keys are text
    adapter.clear({ prefix: 1 }),
    // @ts-expect-error a miss is null
    adapter.take<string>('key').then((value: string) => value),
    // @ts-expect-error a miss is null
    adapter.getEntry<string>('key').then((entry) => entry.value),
    // @ts-expect-error a TTL is milliseconds
    adapter.touch('key', '1 minute'),
    // @ts-expect-error a TTL is milliseconds
    adapter.set('key', 1, '1 minute'),
    // @ts-expect-error a checkpoint has data
    adapter.save({ id: 'id', taskId: 'task', sequence: 1, timestamp: 0, progress: 0 }),
    // @ts-expect-error a sequence is a number
    adapter.save({ id: 'id', taskId: 'task', sequence: '1', timestamp: 0, progress: 0, data: null }),
    // @ts-expect-error how many stay is said
    adapter.cleanup('task'),
    // @ts-expect-error what is listed is of unknown type
    adapter.list('task').then((list: goscope.Checkpoint<number>[]) => list),
    // @ts-expect-error a result is wrapped
    results.get<string>('key').then((value: string | null) => value),
    // @ts-expect-error settings are text, numbers or booleans
    startPostgres({ settings: { max_connections: [20] } }),
  ]
}

// Errors, distinguished by their codes

export function errors(error: goscope.GoscopeError) {
  const code: goscope.ErrorCode = error.code
  // @ts-expect-error there is no such code
  if (code === 'ERR_LOCK_TIMEOUT') return undefined
  // @ts-expect-error not every error has a holder
  if (error.holder) return undefined
  if (error.code === 'ERR_GOSCOPE_ROW') return error.table
  return error.code === 'ERR_LOCK_WAIT_TIMEOUT' ? error.holder : code
}

export const info: goscope.BuildInfo = goscope.buildInfo
export const targets: [string, string, readonly string[]] = [info.version, info.target, info.features]
// @ts-expect-error it is read-only
info.version = '0.0.0'

// @ts-expect-error nothing else is exported
export type { CacheMethods } from 'goscope-postgres'

// Leases

export async function leases() {
  const lease = await adapter.acquire('key', 1000)
  const kept = await adapter.lock('key', {
    ttl: 1000,
    wait: 0,
    renew: false,
    owner: 'me',
    signal: AbortSignal.timeout(1),
  })
  await adapter.lock('key')
  // With a default, no length need be said.
  await lease?.extend()
  await adapter.acquire('key')
  await adapter.extend('key', undefined, 'me')
  await using disposed = await adapter.lock('key', { ttl: 1000, wait: Infinity, signal: undefined })
  await fetch('https://localhost', { signal: disposed.signal })
  const holder = await adapter.holder('key')
  // @ts-expect-error: fencing tokens are bigints
  const number: number = kept.fencingToken
  // @ts-expect-error: it is read only
  kept.expiresAt = 0
  // @ts-expect-error
  await adapter.lock('key', { ttl: '1000' })
  // @ts-expect-error
  await adapter.lock('key', { signal: true })
  return [number, kept] as unknown as [
    Expect<Equal<typeof lease, goscope.Lease | null>>,
    Expect<Equal<typeof kept, goscope.Lease>>,
    Expect<Equal<typeof kept.signal, AbortSignal>>,
    Expect<Equal<typeof kept.fencingToken, bigint>>,
    Expect<Equal<typeof holder, { owner: string; expiresAt: number } | null>>,
  ]
}
