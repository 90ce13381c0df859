// biome-ignore-all lint/suspicious/noExplicitAny: other limiters are those of rate-limiter-flexible, which is not imported
import type { CacheSource, IntegrationTableOptions } from './lib/types/integrations.js'

export type { CacheSource, IntegrationTableOptions } from './lib/types/integrations.js'

/**
 * Options of {@link PostgresRateLimiter}: those of rate-limiter-flexible for limiters with a store, whose times are in seconds
 * unless their names say otherwise.
 *
 * @category Integrations
 */
export interface PostgresRateLimiterOptions extends IntegrationTableOptions {
  /** An adapter, a pool, a URL or a configuration; if absent, the environment says how to connect. */
  storeClient?: CacheSource | null | undefined
  /** How many points a key has for each window. */
  points: number
  /** How long a window is, in seconds, from its first call; 0: without end. */
  duration: number
  /** The text before each key, to which a colon is added. Default `'rlflx'`. */
  keyPrefix?: string | undefined
  /** How long a key is blocked that has used more than its points, in seconds. */
  blockDuration?: number | undefined
  /** From how many points on a key is blocked, in versions that have this option. */
  blockOnConsumed?: number | undefined
  /** Whether calls are delayed, so that they spread over the window. */
  execEvenly?: boolean | undefined
  execEvenlyMinDelayMs?: number | undefined
  /** From how many points on this process refuses a key without asking the server. */
  inMemoryBlockOnConsumed?: number | undefined
  /** For how long it does, in seconds; absent: until the end of the window. */
  inMemoryBlockDuration?: number | undefined
  /** The limiter that takes over if a call fails. */
  insuranceLimiter?: any
}

/**
 * What is left of a window: a `RateLimiterRes` of rate-limiter-flexible.
 *
 * @category Integrations
 */
export interface RateLimiterResult {
  /** How long the window lasts, in ms; -1: without end. */
  readonly msBeforeNext: number
  readonly remainingPoints: number
  readonly consumedPoints: number
  readonly isFirstInDuration: boolean
  toString(): string
  toJSON(): { remainingPoints: number; msBeforeNext: number; consumedPoints: number; isFirstInDuration: boolean }
}

/**
 * A limiter of rate-limiter-flexible, version 5 and later, with fixed windows: a window begins with its first call, and later
 * calls do not move its end. The server's clock decides when it ends. Concurrent calls on one key share statements, and each
 * is counted once.
 *
 * @category Integrations
 * @example
 * ```ts
 * import { PostgresRateLimiter } from 'goscope-postgres/rate-limiter-flexible'
 *
 * const limiter = new PostgresRateLimiter({ storeClient: pool, points: 100, duration: 60 })
 * await limiter.consume(request.ip)
 * ```
 */
export declare class PostgresRateLimiter {
  /**
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is wrong or misspelt
   * @throws Error of rate-limiter-flexible if one of its options is wrong
   */
  constructor(options: PostgresRateLimiterOptions)
  points: number
  duration: number
  get msDuration(): number
  blockDuration: number
  get msBlockDuration(): number
  blockOnConsumed: number
  execEvenly: boolean
  execEvenlyMinDelayMs: number
  keyPrefix: string
  getKey(key: string | number): string
  parseKey(storedKey: string): string
  /**
   * @throws RateLimiterResult if the points are used up or the key is blocked
   * @throws Error of the cache if the call fails and there is no `insuranceLimiter`
   */
  consume(key: string | number, points?: number, options?: { [key: string]: any }): Promise<RateLimiterResult>
  penalty(key: string | number, points?: number, options?: { [key: string]: any }): Promise<RateLimiterResult>
  reward(key: string | number, points?: number, options?: { [key: string]: any }): Promise<RateLimiterResult>
  get(key: string | number, options?: { [key: string]: any }): Promise<RateLimiterResult | null>
  set(
    key: string | number,
    points: number,
    secDuration: number,
    options?: { [key: string]: any },
  ): Promise<RateLimiterResult>
  block(key: string | number, secDuration: number, options?: { [key: string]: any }): Promise<RateLimiterResult>
  /** @returns whether there was something */
  delete(key: string | number, options?: { [key: string]: any }): Promise<boolean>
  deleteInMemoryBlockedAll(): void
  /** Closes what the limiter has opened itself, after the calls under way. Calling it twice is harmless. */
  close(): Promise<void>
}
