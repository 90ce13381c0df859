// biome-ignore-all lint/suspicious/noExplicitAny: what listeners get is up to other libraries
// What the integrations with other libraries have in common.

import type { CacheDurability, CacheOperations, PostgresSource } from '../../index.js'

/**
 * Where an integration keeps its entries: an adapter of this package, or what one is made from. An adapter, a pool and a
 * client stay open when the integration is closed. With any other source, its own connections are closed.
 *
 * @category Integrations
 */
export type CacheSource = CacheOperations | PostgresSource

/**
 * Options of a table of an integration's own. They are refused if an adapter is given.
 *
 * @category Integrations
 */
export interface IntegrationTableOptions {
  /** The table, as `name` or `schema.name`; each part is quoted and taken literally, never as SQL. */
  tableName?: string | undefined
  /** `false` to create neither the table nor its index. Default `true`. */
  createTables?: boolean | undefined
  /** What a crash of the server may destroy of the table. Default `'full'`. */
  durability?: CacheDurability | undefined
}

/**
 * An `EventEmitter` of Node, without its types.
 *
 * @category Integrations
 */
export interface Emitter {
  on(event: string | symbol, listener: (...given: any[]) => void): this
  once(event: string | symbol, listener: (...given: any[]) => void): this
  off(event: string | symbol, listener: (...given: any[]) => void): this
  addListener(event: string | symbol, listener: (...given: any[]) => void): this
  removeListener(event: string | symbol, listener: (...given: any[]) => void): this
  removeAllListeners(event?: string | symbol): this
  prependListener(event: string | symbol, listener: (...given: any[]) => void): this
  prependOnceListener(event: string | symbol, listener: (...given: any[]) => void): this
  setMaxListeners(count: number): this
  getMaxListeners(): number
  emit(event: string | symbol, ...given: any[]): boolean
  eventNames(): any[]
  listeners(event: string | symbol): any[]
  rawListeners(event: string | symbol): any[]
  listenerCount(event: string | symbol): number
}
