// biome-ignore-all lint/suspicious/noExplicitAny: requests and sessions have the types of express-session, which are not imported
import type { CacheSource, Emitter, IntegrationTableOptions } from './lib/types/integrations.js'

export type { CacheSource, Emitter, IntegrationTableOptions } from './lib/types/integrations.js'

/**
 * Options of {@link SessionStore}.
 *
 * @category Integrations
 */
export interface SessionStoreOptions extends IntegrationTableOptions {
  /** The text before each session's id. Default `'sess:'`. */
  keyPrefix?: string | undefined
  /**
   * How long a session lasts whose cookie has no end, in ms from its last use; positive and finite. Default 86,400,000, a day.
   */
  ttl?: number | undefined
}

/**
 * A store for express-session. The methods call back as express-session documents them, with the error of the cache if there
 * is one. A failure without a callback is an `error` event, or a warning of the process if nothing listens.
 *
 * - A session ends with its cookie, by the server's clock, and a session without `expires` after `ttl`.
 * - `touch` sets the end, and does not bring back a session that was destroyed meanwhile. Only if the application has changed
 *   the cookie does it store that, too, and never older data of the session.
 *
 * @category Integrations
 * @example
 * ```ts
 * import session from 'express-session'
 * import { SessionStore } from 'goscope-postgres/express-session'
 *
 * app.use(session({ store: new SessionStore(pool), secret, resave: false, saveUninitialized: false }))
 * ```
 */
export declare class SessionStore {
  /**
   * @param source an adapter, a pool, a URL or a configuration; if absent, the environment says how to connect
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an argument is wrong, or an option is misspelt
   * @throws RangeError `ERR_OUT_OF_RANGE` if `ttl` is not positive and finite
   */
  constructor(source?: CacheSource | null, options?: SessionStoreOptions)
  /** Null for a session that is missing or has ended. The end of its cookie is that of the last `touch`. */
  get(sid: string, callback: (error: any, session?: any) => void): void
  set(sid: string, session: any, callback?: (error?: any) => void): void
  destroy(sid: string, callback?: (error?: any) => void): void
  touch(sid: string, session: any, callback?: (error?: any) => void): void
  /** All sessions, each with its `id`. */
  all(callback: (error: any, sessions?: any) => void): void
  length(callback: (error: any, length?: number) => void): void
  /** Removes all sessions with the prefix. */
  clear(callback?: (error?: any) => void): void
  // Of the base class
  regenerate(request: any, callback: (error?: any) => any): void
  load(sid: string, callback: (error: any, session?: any) => any): void
  createSession(request: any, session: any): any
  /** Closes what the store has opened itself, after the calls under way. Calling it twice is harmless. */
  close(): Promise<void>
}

/**
 * Its events: `error`.
 *
 * @category Integrations
 */
export interface SessionStore extends Emitter {}
