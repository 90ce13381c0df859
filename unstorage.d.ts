// biome-ignore-all lint/suspicious/noExplicitAny: the types of values and options that unstorage has
import type { CacheOperations } from './index.js'
import type { CacheSource, IntegrationTableOptions } from './lib/types/integrations.js'

export type { CacheSource, IntegrationTableOptions } from './lib/types/integrations.js'

/**
 * Options of {@link storageDriver}.
 *
 * @category Integrations
 */
export interface StorageDriverOptions extends IntegrationTableOptions {
  /** An adapter, a pool, a URL or a configuration; if absent, the environment says how to connect. */
  source?: CacheSource | null | undefined
  /** The text before each key, to which a colon is added. Default `'unstorage'`. */
  base?: string | undefined
  /**
   * How long an item lasts that is stored without a `ttl` of its own; both in seconds, as other drivers take them. Absent, 0 or
   * `Infinity`: it does not expire.
   */
  ttl?: number | undefined
}

/**
 * A driver of unstorage. It has no `watch`: unstorage reports the changes that are made through it.
 *
 * @category Integrations
 */
export interface StorageDriver {
  name: string
  flags: { ttl: boolean }
  options: any
  /** The cache that has the items. */
  getInstance(): CacheOperations
  hasItem(key: string, options?: any): Promise<boolean>
  getItem(key: string, options?: any): Promise<any>
  getItems(items: { key: string; options?: any }[], options?: any): Promise<{ key: string; value: any }[]>
  /** Bytes as a `Buffer`; text and other values as they were given. */
  getItemRaw(key: string, options?: any): Promise<any>
  setItem(key: string, value: string, options?: any): Promise<void>
  setItems(items: { key: string; value: string; options?: any }[], options?: any): Promise<void>
  /** Bytes, text, or anything else that JSON can express. */
  setItemRaw(key: string, value: any, options?: any): Promise<void>
  removeItem(key: string, options?: any): Promise<void>
  /** `ttl`: how many seconds are left, if the item expires. Null if there is none. */
  getMeta(key: string, options?: any): Promise<{ ttl?: number } | null>
  getKeys(base?: string, options?: any): Promise<string[]>
  clear(base?: string, options?: any): Promise<void>
  /** Closes what the driver has opened itself, after the calls under way. Calling it twice is harmless. */
  dispose(): Promise<void>
}

/**
 * Makes a driver of unstorage. The server's clock decides what has expired.
 *
 * @category Integrations
 * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is wrong or misspelt
 * @example
 * ```ts
 * import { createStorage } from 'unstorage'
 * import { storageDriver } from 'goscope-postgres/unstorage'
 *
 * const storage = createStorage({ driver: storageDriver({ source: pool, base: 'app' }) })
 * ```
 */
export declare function storageDriver(options?: StorageDriverOptions): StorageDriver

export { storageDriver as default }
