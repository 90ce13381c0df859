// Calls within a transaction of the application.

/**
 * A connection of the application, on which the methods of an adapter run: a connected `Client` of `pg`, or what
 * `pool.connect()` gives. Of another library, what the functions of `goscope-postgres/clients` make of its transaction.
 *
 * Each value is a string or null, and a row has one column, `record`, of text.
 *
 * @category Transactions
 */
export interface QueryClient {
  // biome-ignore lint/suspicious/noExplicitAny: what a driver takes and gives
  query(text: string, values: any[]): Promise<{ rows: any[] } | any[]>
  /** A pool is no client: each of its queries may run on another connection. */
  totalCount?: never
}

/**
 * A lease that is checked in a transaction: a `Lease` (also of a semaphore's permit), or the same two properties of a lock's lease
 * that another process holds.
 *
 * @category Transactions
 */
export interface LeaseToCheck {
  /** The lock's name, without the `keyPrefix`. */
  readonly key: string
  readonly fencingToken: bigint
}

/**
 * What begins a transaction: a `Pool` of `pg`, or a function that runs its argument in a transaction and passes it a client,
 * commits when that resolves, and rolls back when it rejects.
 *
 * @category Transactions
 */
export type TransactionSource =
  | { connect(): Promise<QueryClient & { release(error?: Error | boolean): void }> }
  // biome-ignore lint/suspicious/noExplicitAny: the client of any library
  | ((work: (client: any) => Promise<any>) => Promise<any>)

/**
 * The client that such a source passes to the work.
 *
 * @category Transactions
 */
export type ClientOf<Source> = Source extends (work: (client: infer Client) => never) => unknown
  ? Client
  : Source extends { connect: infer Connect }
    ? Connected<Connect>
    : QueryClient

/** What `connect()` resolves to, also where it has a form with a callback. */
type Connected<Connect> = Connect extends { (): Promise<infer Client>; (...given: never): unknown }
  ? Client
  : Connect extends () => Promise<infer Client>
    ? Client
    : QueryClient
