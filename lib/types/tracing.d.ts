// The names of operations, and the messages of their tracing channels.

/**
 * The name of every call in metrics and traces: `locks.acquire`, `cache.get`, and so on.
 *
 * Each has a tracing channel of `node:diagnostics_channel`, named `goscope-postgres:` followed by the operation. It
 * has the events `start`, `end`, `asyncStart`, `asyncEnd` and `error` of Node's `tracingChannel`, and a
 * {@link TraceContext}.
 *
 * @category Observability
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
  'cache.getEntry',
  'cache.getMany',
  'cache.getOrSet',
  'cache.has',
  'cache.increment',
  'cache.incrementEntry',
  'cache.keys',
  'cache.prune',
  'cache.set',
  'cache.setMany',
  'cache.stats',
  'cache.take',
  'cache.touch',
  'checkpoints.cleanup',
  'checkpoints.deleteAll',
  'checkpoints.list',
  'checkpoints.listTasks',
  'checkpoints.load',
  'checkpoints.loadLatest',
  'checkpoints.save',
  'checkpoints.saveMany',
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
  'locks.assertHeld',
  'locks.extend',
  'locks.forceRelease',
  'locks.holder',
  'locks.isValid',
  'locks.lock',
  'locks.release',
  'ping',
  'semaphores.acquire',
  'semaphores.holders',
]

/**
 * The name of an operation: one of {@link operations}.
 *
 * @category Observability
 */
export type Operation = (typeof operations)[number]

/**
 * The description of a call for the subscribers of its tracing channels. All events of a call pass the same object.
 *
 * It holds no value, no owner and no result: they may be secrets, and traces are stored elsewhere.
 *
 * @category Observability
 */
export interface TraceContext {
  /** One of {@link operations}. */
  readonly operation: Operation
  /** The key, id or task's id of the call, without the `keyPrefix`; absent for calls on no key or on many. */
  readonly key?: string
  /** The server, as configured: of several hosts, the first. Absent if the configuration is invalid. */
  readonly host?: string
  readonly port?: number
  readonly database?: string
  /** The error with which the call rejected, from the `error` event on. */
  readonly error?: unknown
}
