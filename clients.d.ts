// biome-ignore-all lint/suspicious/noExplicitAny: the types of other libraries, which are not imported here
import type { QueryClient } from './lib/types/transactions.js'

/**
 * A transaction of another library, as `adapter.within()` and `run()` take it.
 *
 * @category Transactions
 */
export interface LibraryClient<Transaction> extends QueryClient {
  /** `$1` in the text is the first value, in every library. */
  query(text: string, values?: any[]): Promise<{ rows: any[] }>
  /** What it was made from, for the application's own queries. */
  readonly transaction: Transaction
}

/**
 * The `tx` of Drizzle's `db.transaction()`.
 *
 * @category Transactions
 */
export interface DrizzleTransaction {
  execute(query: any): PromiseLike<unknown>
  rollback(): never
}

/**
 * The `sql` of `drizzle-orm`.
 *
 * @category Transactions
 */
export interface DrizzleSql {
  raw(text: string): any
  param(value: any): any
  join(chunks: any[]): any
}

/**
 * The `trx` of Kysely's `db.transaction().execute()`, or what `db.startTransaction().execute()` gives.
 *
 * @category Transactions
 */
export interface KyselyTransaction {
  readonly isTransaction: true
  withoutPlugins(): { executeQuery(query: any): Promise<{ rows: any[] }> }
}

/**
 * The `trx` of Knex's `knex.transaction()`.
 *
 * @category Transactions
 */
export interface KnexTransaction {
  raw(sql: string, bindings: any[]): PromiseLike<any>
  isCompleted(): boolean
}

/**
 * The `tx` of Prisma's `prisma.$transaction()`, in its form with a function.
 *
 * @category Transactions
 */
export interface PrismaTransaction {
  $queryRawUnsafe(text: string, ...values: any[]): PromiseLike<any>
  $connect?: never
}

/**
 * The `sql` of postgres.js's `sql.begin()` or `sql.savepoint()`, or what `sql.reserve()` gives.
 *
 * @category Transactions
 */
export type PostgresJsTransaction = {
  unsafe(text: string, values: any[]): PromiseLike<Iterable<any>>
} & ({ begin?: never } | { release(): void })

/**
 * A query runner of TypeORM.
 *
 * @category Transactions
 */
export interface TypeORMQueryRunner {
  query(text: string, values: any[], useStructuredResult: true): Promise<{ records: any }>
  startTransaction(...options: any): Promise<void>
}

/**
 * The `EntityManager` of TypeORM's `dataSource.transaction()`. That of a data source has no query runner, and is refused.
 *
 * @category Transactions
 */
export interface TypeORMEntityManager {
  manager?: never
  readonly queryRunner?: TypeORMQueryRunner | undefined
  transaction(...given: any): Promise<any>
}

/**
 * A transaction of Drizzle.
 *
 * @category Transactions
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for a whole database
 * @example
 * ```ts
 * import { sql } from 'drizzle-orm'
 * import { fromDrizzle } from 'goscope-postgres/clients'
 *
 * await db.transaction(async (tx) => {
 *   await tx.insert(orders).values(order)
 *   await adapter.within(fromDrizzle(tx, sql)).save(checkpoint)
 * })
 * ```
 */
export declare function fromDrizzle<Transaction extends DrizzleTransaction>(
  tx: Transaction,
  sql: DrizzleSql,
): LibraryClient<Transaction>

/**
 * A transaction of Knex.
 *
 * @category Transactions
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for Knex itself
 */
export declare function fromKnex<Transaction extends KnexTransaction>(trx: Transaction): LibraryClient<Transaction>

/**
 * A transaction of Kysely. Its plugins see none of these queries.
 *
 * @category Transactions
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for a whole database
 */
export declare function fromKysely<Transaction extends KyselyTransaction>(trx: Transaction): LibraryClient<Transaction>

/**
 * A transaction of postgres.js.
 *
 * @category Transactions
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for a whole pool
 */
export declare function fromPostgresJs<Transaction extends PostgresJsTransaction>(
  sql: Transaction,
): LibraryClient<Transaction>

/**
 * A transaction of Prisma Client.
 *
 * @category Transactions
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for a whole client
 */
export declare function fromPrisma<Transaction extends PrismaTransaction>(tx: Transaction): LibraryClient<Transaction>

/**
 * A transaction of TypeORM: a query runner, or the EntityManager of a transaction.
 *
 * @category Transactions
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for a data source, and for its own EntityManager
 */
export declare function fromTypeORM<Transaction extends TypeORMQueryRunner | TypeORMEntityManager>(
  transaction: Transaction,
): LibraryClient<Transaction>
