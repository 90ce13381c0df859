// A circuit breaker that guards calls.

import type { CircuitBreakerPersistedState, LeaseSignal } from '../../index.js'
import type { CircuitOpenError } from './errors.js'

/**
 * Options of {@link PostgresAdapter.breaker}. Give all processes the same ones.
 *
 * @category Circuit breakers
 */
export interface BreakerOptions {
  /** With so many failures since the last success, in all processes together, the breaker opens; an integer from 1. */
  maxFailures: number
  /** How long an open breaker refuses calls before one of all processes may try, in ms; positive and finite. */
  resetTimeout: number
  /**
   * How long a call may take, in ms; positive and finite. Then {@link Breaker.run} rejects with `ERR_CIRCUIT_TIMEOUT`, which
   * counts as a failure, and the call's signal aborts. Default: no limit.
   */
  timeout?: number | undefined
  /**
   * Whether an error of a call is a failure of the service. An error that is none, such as a refusal of bad input, counts as a
   * success. Default: each error is one.
   */
  isFailure?: ((error: unknown) => boolean) | undefined
}

/**
 * Options of {@link Breaker.run}.
 *
 * @category Circuit breakers
 */
export interface GuardedRunOptions<Fallback> {
  /** Its result takes the place of any error: of a call that was refused, that failed, or that took too long. */
  fallback?: ((error: unknown) => Fallback | Promise<Fallback>) | undefined
}

/**
 * The argument of a guarded call.
 *
 * @category Circuit breakers
 */
export interface GuardedCall {
  /** Aborts if the call takes longer than {@link BreakerOptions.timeout}. */
  readonly signal: LeaseSignal
}

/**
 * What a breaker in this process reports, by event.
 *
 * @category Circuit breakers
 */
export interface BreakerEvents {
  /** This process has learned that the state has changed, no matter which process has changed it. */
  change: CircuitBreakerPersistedState
  /** A call has succeeded; with its result. */
  success: unknown
  /** A call has failed, and counts; with its error. */
  failure: unknown
  /** A call was refused, because the breaker is not closed; with the error. */
  reject: CircuitOpenError
  /** The database could not be read or written. Calls continue without it. */
  error: unknown
}

/**
 * A circuit breaker that guards calls to a service.
 *
 * While it is closed, a call costs no round trip: the state comes from notifications. A failure is one statement, and so is the
 * next success of this process. If the database is away, calls are made as if the breaker were in the state that was last known,
 * at first closed, and no call waits for the database for longer than a second.
 *
 * @category Circuit breakers
 */
export interface Breaker {
  /** The breaker's key, as text. */
  readonly key: string
  /** As far as this process knows; closed until something else is known. */
  readonly state: CircuitBreakerPersistedState['state']
  /**
   * Calls `work`, unless the breaker is open. If it is, and {@link BreakerOptions.resetTimeout} has passed, one of all processes
   * may call: its success closes the breaker, its failure opens it for the same time again. If that call has not ended after the
   * same time, another one may be made.
   *
   * @returns what `work` returns
   * @throws CircuitOpenError `ERR_CIRCUIT_OPEN` if the breaker is open, or another call tries; `work` was not called
   * @throws Error `ERR_CIRCUIT_TIMEOUT` if `work` takes too long. It is not stopped, but for its signal
   * @throws what `work` throws
   */
  run<T, Fallback = never>(
    work: (call: GuardedCall) => T | Promise<T>,
    options?: GuardedRunOptions<Fallback>,
  ): Promise<T | Fallback>
  /** Calls `listener` with each event of this kind, of all breakers with this key in this adapter. */
  on<Event extends keyof BreakerEvents>(event: Event, listener: (news: BreakerEvents[Event]) => void): this
  /** Ends what {@link on} has begun. */
  off<Event extends keyof BreakerEvents>(event: Event, listener: (news: BreakerEvents[Event]) => void): this
}
