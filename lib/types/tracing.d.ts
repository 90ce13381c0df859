// The names of operations, and what their tracing channels carry.

/**
 * What every call is counted and traced as: `locks.acquire`, `cache.get`, and so on.
 *
 * Each has a tracing channel of `node:diagnostics_channel`, `goscope-postgres:` with its name behind it, with the events
 * `start`, `end`, `asyncStart`, `asyncEnd` and `error` as Node's `tracingChannel` has them, and a {@link TraceContext}.
 *
 * @example
 * ```ts
 * import { tracingChannel } from 'node:diagnostics_channel'
 * import { operations, type TraceContext } from 'goscope-postgres'
 *
 * for (const operation of operations) {
 *   tracingChannel(`goscope-postgres:${operation}`).error.subscribe((message) => {
 *     const { key, error } = message as TraceContext
 *     console.error(operation, key, error)
 *   })
 * }
 * ```
 */
export declare const operations: readonly [
  'cache.clear',
  'cache.compareAndSet',
  'cache.delete',
  'cache.deleteMany',
  'cache.get',
  'cache.getMany',
  'cache.getOrSet',
  'cache.has',
  'cache.increment',
  'cache.keys',
  'cache.prune',
  'cache.set',
  'cache.setMany',
  'cache.stats',
  'checkpoints.cleanup',
  'checkpoints.deleteAll',
  'checkpoints.list',
  'checkpoints.load',
  'checkpoints.loadLatest',
  'checkpoints.save',
  'circuits.getState',
  'circuits.recordFailure',
  'circuits.recordSuccess',
  'circuits.setState',
  'circuits.tryProbe',
  'close',
  'connect',
  'disconnect',
  'idempotency.delete',
  'idempotency.get',
  'idempotency.run',
  'idempotency.set',
  'locks.acquire',
  'locks.extend',
  'locks.forceRelease',
  'locks.holder',
  'locks.isValid',
  'locks.lock',
  'locks.release',
  'ping',
]

/** The name of an operation: one of {@link operations}. */
export type Operation = (typeof operations)[number]

/**
 * What a call is, as a subscriber to its tracing channels sees it. The same object comes with all events of a call.
 *
 * It holds no value, no owner and no result: they may be secrets, and what is traced is stored elsewhere.
 */
export interface TraceContext {
  /** One of {@link operations}. */
  readonly operation: Operation
  /** The key, id or task's id that the call is about, without the `keyPrefix`; absent where it is about none or many. */
  readonly key?: string
  /** The server, as configured: of several hosts, the first. Absent where the configuration makes no sense. */
  readonly host?: string
  readonly port?: number
  readonly database?: string
  /** What the call rejected with, from the `error` event on. */
  readonly error?: unknown
}
