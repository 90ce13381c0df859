// biome-ignore-all lint/suspicious/noExplicitAny: the types of Nest, which are not imported here
import type {
  CacheDurability,
  PostgresAdapter,
  PostgresCacheAdapterOptions,
  PostgresIdempotencyAdapterOptions,
  PostgresSource,
} from './index.js'

/**
 * Options of {@link GoscopePostgresModule}.
 *
 * @category Integrations
 */
export interface GoscopePostgresModuleOptions {
  /**
   * A `Pool` or `Client` of `pg`, a connection string or a configuration; if absent, the environment says how to connect. The
   * adapters share it.
   */
  connection?: PostgresSource | null | undefined
  /** The text before each stored key, of all three adapters. Default `''`. */
  keyPrefix?: string | undefined
  /** `false` to create neither tables nor indexes. Default `true`. */
  createTables?: boolean | undefined
  /** Of the `PostgresAdapter`. */
  defaultLockTTL?: number | undefined
  /** Of the `PostgresAdapter`. */
  cacheDurability?: CacheDurability | undefined
  /** Of the `PostgresCacheAdapter`. If given, its table is made at start-up, and otherwise at its first use. */
  cache?: PostgresCacheAdapterOptions | undefined
  /** Of the `PostgresIdempotencyAdapter`. If given, its table is made at start-up, and otherwise at its first use. */
  idempotency?: PostgresIdempotencyAdapterOptions | undefined
}

/**
 * Options of {@link GoscopePostgresModule.forRootAsync}.
 *
 * @category Integrations
 */
export interface GoscopePostgresModuleAsyncOptions {
  /** Modules that export what is injected. */
  imports?: any[]
  /** What `useFactory` gets. */
  inject?: any[]
  /** Makes the options. */
  useFactory: (...injected: any[]) => GoscopePostgresModuleOptions | Promise<GoscopePostgresModuleOptions>
  /** Whether all modules have the adapters, and not only those that import this one. Default `false`. */
  isGlobal?: boolean | undefined
}

/**
 * Nest's `DynamicModule`.
 *
 * @category Integrations
 */
export interface NestDynamicModule {
  module: new (...given: any[]) => any
  global: boolean
  imports: any[]
  providers: any[]
  exports: any[]
}

/**
 * A module of NestJS that provides `PostgresAdapter`, `PostgresCacheAdapter`, `PostgresIdempotencyAdapter` and
 * {@link GoscopePostgresHealth}, each under its class.
 *
 * When Nest starts, it connects: the start fails if the server cannot be reached, or a table cannot be made. When Nest shuts
 * down, in its last phase (`onApplicationShutdown`), it closes the adapters, and leaves a pool that was given open. Release
 * leases before, in `onModuleDestroy` or `beforeApplicationShutdown`.
 *
 * @category Integrations
 * @example
 * ```ts
 * @Module({
 *   imports: [GoscopePostgresModule.forRoot({ connection: process.env.DATABASE_URL, keyPrefix: 'shop:', isGlobal: true })],
 * })
 * export class AppModule {}
 *
 * @Injectable()
 * export class Reports {
 *   constructor(private readonly adapter: PostgresAdapter) {}
 * }
 * ```
 */
// biome-ignore lint/complexity/noStaticOnlyClass: what Nest takes
export declare class GoscopePostgresModule {
  /**
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`, when Nest makes the providers, if an option is wrong or
   * misspelt
   */
  static forRoot(options?: GoscopePostgresModuleOptions & { isGlobal?: boolean | undefined }): NestDynamicModule
  /**
   * As {@link forRoot}, with options that are made from other providers.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if there is no `useFactory`
   */
  static forRootAsync(options: GoscopePostgresModuleAsyncOptions): NestDynamicModule
}

/**
 * Whether the server answers, as a health indicator of `@nestjs/terminus` (11 or later) or without it.
 *
 * @category Integrations
 * @example
 * ```ts
 * @Get('health')
 * @HealthCheck()
 * check() {
 *   return this.checks.check([() => this.health.pingCheck('postgres')])
 * }
 * ```
 */
export declare class GoscopePostgresHealth {
  /** @param adapter what is asked */
  constructor(adapter: Pick<PostgresAdapter, 'health'>)
  /**
   * Sends a query that needs no table. It does not reject: a server that does not answer is `down`.
   *
   * @param key the name in the result. Default `'postgres'`
   * @param options `timeout`: how long to wait, in ms. Default 1,000
   */
  pingCheck<Key extends string = 'postgres'>(
    key?: Key,
    options?: { timeout?: number | undefined },
  ): Promise<Record<Key, { status: 'up' | 'down'; message?: string; code?: string }>>
}
