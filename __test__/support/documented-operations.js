// @ts-check
// Each operation of the adapters, once for each path that it can take, as one call. They expect a lock under `busy` of
// the owner `me`, and a result under `ran`.
'use strict'

/**
 * @typedef {object} Given
 * @property {import('goscope-postgres').PostgresAdapter} adapter
 * @property {import('goscope-postgres').PostgresCacheAdapter} cache
 * @property {import('goscope-postgres').PostgresIdempotencyAdapter} results
 * @property {any} handle of a lock
 */

const checkpoint = { id: 'c', taskId: 't', sequence: 1, timestamp: 1, progress: 1, data: 1 }

/** @type {Record<string, (given: Given) => Promise<unknown>>} */
const OPERATIONS = {
  'acquire of a free lock': async ({ adapter }) => adapter.acquire(`free${Math.random()}`, 60_000),
  'acquire of a busy lock': ({ adapter }) => adapter.acquire('busy', 60_000, 'other'),
  'acquire of an expired lock': ({ adapter }) => adapter.acquire('expired', 1, `${Math.random()}`),
  extend: ({ adapter }) => adapter.extend('busy', 60_000, 'me'),
  'handle.extend': ({ handle }) => handle.extend(60_000),
  'handle.isValid': ({ handle }) => handle.isValid(),
  'handle.release': ({ handle }) => handle.release(),
  forceRelease: ({ adapter }) => adapter.forceRelease('forced'),
  getState: ({ adapter }) => adapter.getState('c'),
  setState: ({ adapter }) => adapter.setState('c', { state: 'open', failureCount: 1 }),
  recordFailure: ({ adapter }) => adapter.recordFailure('c', 5),
  recordSuccess: ({ adapter }) => adapter.recordSuccess('c'),
  'tryProbe in vain': ({ adapter }) => adapter.tryProbe('c', 60_000),
  'tryProbe that is let through': ({ adapter }) => adapter.tryProbe('due', 1),
  get: ({ adapter }) => adapter.get('k'),
  set: ({ adapter }) => adapter.set('k', { a: 1 }, 60_000),
  delete: ({ adapter }) => adapter.delete('k'),
  has: ({ adapter }) => adapter.has('k'),
  clear: ({ adapter }) => adapter.clear(),
  keys: ({ adapter }) => adapter.keys('k%'),
  increment: ({ adapter }) => adapter.increment('n'),
  'compareAndSet of an absent entry': ({ adapter }) => adapter.compareAndSet(`${Math.random()}`, undefined, 1),
  'compareAndSet of another value': ({ adapter }) => adapter.compareAndSet('n', 'other', 1),
  'getMany of one': ({ adapter }) => adapter.getMany(['k']),
  'getOrSet of what is there': ({ adapter }) => adapter.getOrSet('n', () => 1, { ttl: 1_000, staleTtl: 1_000 }),
  save: ({ adapter }) => adapter.save(checkpoint),
  load: ({ adapter }) => adapter.load('c'),
  loadLatest: ({ adapter }) => adapter.loadLatest('t'),
  list: ({ adapter }) => adapter.list('t'),
  cleanup: ({ adapter }) => adapter.cleanup('t', 1),
  deleteAll: ({ adapter }) => adapter.deleteAll('t'),
  'cache adapter: get': ({ cache }) => cache.get('k'),
  'cache adapter: set': ({ cache }) => cache.set('k', 1),
  'cache adapter: stats': ({ cache }) => cache.stats(),
  'cache adapter: prune': ({ cache }) => cache.prune(),
  'idempotency: get': ({ results }) => results.get('k'),
  'idempotency: set': ({ results }) => results.set('k', 1, 60_000),
  'idempotency: run of what is remembered': ({ results }) => results.run('ran', () => 1),
  'idempotency: delete': ({ results }) => results.delete('k'),
}

module.exports = { OPERATIONS }
