// @ts-check
// The names of the public methods in metrics and traces. `src/node/operation.rs` has the same names for its counters.
'use strict'

/** By class, and there by method. A method of a base class may have a name of its own for each class. */
const METHODS = {
  LifeCycle: {
    ping: 'ping',
    close: 'close',
    disconnect: 'disconnect',
  },
  CacheProvider: {
    get: 'cache.get',
    set: 'cache.set',
    delete: 'cache.delete',
    has: 'cache.has',
    getEntry: 'cache.getEntry',
    touch: 'cache.touch',
    getMany: 'cache.getMany',
    setMany: 'cache.setMany',
    deleteMany: 'cache.deleteMany',
    take: 'cache.take',
    increment: 'cache.increment',
    incrementEntry: 'cache.incrementEntry',
    compareAndSet: 'cache.compareAndSet',
    getOrSet: 'cache.getOrSet',
    clear: 'cache.clear',
    keys: 'cache.keys',
  },
  PostgresAdapter: {
    connect: 'connect',
    acquire: 'locks.acquire',
    lock: 'locks.lock',
    holder: 'locks.holder',
    extend: 'locks.extend',
    release: 'locks.release',
    forceRelease: 'locks.forceRelease',
    getState: 'circuits.getState',
    setState: 'circuits.setState',
    recordFailure: 'circuits.recordFailure',
    recordSuccess: 'circuits.recordSuccess',
    tryProbe: 'circuits.tryProbe',
    save: 'checkpoints.save',
    saveMany: 'checkpoints.saveMany',
    load: 'checkpoints.load',
    loadLatest: 'checkpoints.loadLatest',
    list: 'checkpoints.list',
    listTasks: 'checkpoints.listTasks',
    cleanup: 'checkpoints.cleanup',
    deleteAll: 'checkpoints.deleteAll',
  },
  PostgresCacheAdapter: {
    initialize: 'connect',
    stats: 'cache.stats',
    prune: 'cache.prune',
  },
  PostgresIdempotencyAdapter: {
    connect: 'connect',
    get: 'idempotency.get',
    set: 'idempotency.set',
    delete: 'idempotency.delete',
    run: 'idempotency.run',
  },
}

/** Of a lock's handle. */
const HANDLE = { release: 'locks.release', extend: 'locks.extend', isValid: 'locks.isValid' }

/** Of a semaphore. */
const SEMAPHORE = { acquire: 'semaphores.acquire', holders: 'semaphores.holders' }

/** Of an adapter within a transaction, beside the methods that every adapter has. */
const WITHIN = { assertHeld: 'locks.assertHeld' }

const named = [...Object.values(METHODS), HANDLE, SEMAPHORE, WITHIN].flatMap((methods) => Object.values(methods))

/** All names, each once. */
const operations = Object.freeze([...new Set(named)].sort())

/** Those whose first argument is no key. */
const KEYLESS = new Set(['cache.keys', 'cache.clear'])

/**
 * The subject of a call: a key, an id or a task's id.
 *
 * @param {string} operation
 * @param {any} first its first argument, which is not checked yet
 * @returns {string | undefined}
 */
function keyOf(operation, first) {
  if (KEYLESS.has(operation)) return undefined
  const key = operation === 'checkpoints.save' ? idOf(first) : first
  if (typeof key === 'string') return key
  return typeof key === 'number' || typeof key === 'bigint' ? String(key) : undefined
}

/**
 * Undefined if it cannot be read: the call itself then rejects, and gives the reason.
 *
 * @param {any} checkpoint
 */
function idOf(checkpoint) {
  try {
    return checkpoint?.id
  } catch {
    return undefined
  }
}

module.exports = { HANDLE, METHODS, SEMAPHORE, WITHIN, keyOf, operations }
