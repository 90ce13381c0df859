// biome-ignore-all lint/suspicious/noExplicitAny: values are those of Keyv, whose versions type them differently
import type { CacheSource, Emitter, IntegrationTableOptions } from './lib/types/integrations.js'

export type { CacheSource, Emitter, IntegrationTableOptions } from './lib/types/integrations.js'

/**
 * Options of {@link KeyvStore}.
 *
 * @category Integrations
 */
export interface KeyvStoreOptions extends IntegrationTableOptions {
  /** The text before each key, and before the namespace. Default `'keyv:'`. */
  keyPrefix?: string | undefined
}

/**
 * A store for Keyv 4 to 6, and so for everything that takes a Keyv, such as cache-manager. The server's clock decides what has
 * expired. Give each Keyv a store of its own: a store has the namespace of the last one.
 *
 * Methods reject as those of the caches do, and Keyv emits `error` for that. A failed read of Keyv 5, which reports none,
 * is emitted by the store.
 *
 * @category Integrations
 * @example
 * ```ts
 * import { KeyvStore } from 'goscope-postgres/keyv'
 * import Keyv from 'keyv'
 *
 * const keyv = new Keyv({ store: new KeyvStore(pool), namespace: 'users' })
 * ```
 */
export declare class KeyvStore {
  /**
   * @param source an adapter, a pool, a URL or a configuration; if absent, the environment says how to connect
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an argument is wrong, or an option is misspelt
   */
  constructor(source?: CacheSource | null, options?: KeyvStoreOptions)
  /** For Keyv 5, which iterates over stores of databases that it knows. */
  opts: any
  /** Set by Keyv. */
  namespace: string | undefined
  /** For Keyv 6, which recognises by it a store that takes the end of an entry. Keyv 5 does not read it. */
  get capabilities(): any
  get(key: string): Promise<any>
  getMany(keys: string[]): Promise<any[]>
  /** @param until the time to live in ms for Keyv 5; the end in ms since the epoch for Keyv 6 */
  set(key: string, value: any, until?: number): Promise<boolean>
  setMany(entries: { key: string; value: any; ttl?: number; expires?: number }[]): Promise<any>
  /** @returns whether there was an entry */
  delete(key: string): Promise<boolean>
  /** @returns for Keyv 6, whether there was an entry, for each key; for Keyv 5, whether there was one for all of them */
  deleteMany(keys: string[]): Promise<any>
  has(key: string): Promise<boolean>
  hasMany(keys: string[]): Promise<boolean[]>
  /** Removes the entries of the namespace; without one, those of the prefix. */
  clear(): Promise<void>
  /** The entries of the namespace. One page of them is held in memory at a time. */
  iterator(namespace?: string): AsyncGenerator<any, void>
  /** Closes what the store has opened itself, after the calls under way. Calling it twice is harmless. */
  disconnect(): Promise<void>
}

/**
 * Its events: `error`.
 *
 * @category Integrations
 */
export interface KeyvStore extends Emitter {}
