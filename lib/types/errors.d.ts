// The errors of this package's own. What comes from PostgreSQL, from the network or from Node has their codes.

/**
 * The codes of this package's own errors, and of those that it shares with Node's argument checks. An error of the server has
 * a SQLSTATE as its code, one of the network Node's (`ECONNREFUSED`).
 *
 * @category Errors
 */
export type ErrorCode = GoscopeError['code']

/**
 * `lock()` has waited for the whole `wait`.
 *
 * @category Errors
 */
export interface LockWaitTimeoutError extends Error {
  readonly code: 'ERR_LOCK_WAIT_TIMEOUT'
  /** Who held the lock; null if that is not known. */
  readonly holder: string | null
}

/**
 * The rejection of a call that a breaker has refused.
 *
 * @category Errors
 */
export interface CircuitOpenError extends Error {
  readonly code: 'ERR_CIRCUIT_OPEN'
  /** The breaker's key. */
  readonly key: string
  /** The least time until a call may be made, in ms, as far as this process knows; 0 while another process tries. */
  readonly retryAfter: number
}

/**
 * A row that cannot be read: it holds NULL, or text that is not JSON.
 *
 * @category Errors
 */
export interface UnreadableRowError extends Error {
  readonly code: 'ERR_GOSCOPE_ROW'
  /** Absent if the column's type was changed under the call. */
  readonly table?: string
  readonly column?: string
}

/**
 * A table that cannot be used: its triggers would run with the rights of a superuser, and another role owns it; or Citus has
 * distributed it.
 *
 * @category Errors
 */
export interface TableError extends Error {
  readonly code: 'ERR_GOSCOPE_TABLE_OWNER' | 'ERR_GOSCOPE_TABLE_DISTRIBUTED'
  readonly table: string
}

/**
 * An argument that is wrong. No request was sent.
 *
 * @category Errors
 */
export interface ArgumentError extends Error {
  readonly code: 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' | 'ERR_OUT_OF_RANGE'
}

/**
 * Any other error of this package.
 *
 * @category Errors
 */
export interface OtherGoscopeError extends Error {
  readonly code:
    | 'ERR_ADAPTER_CLOSED'
    | 'ERR_CACHE_ENTRY_HIDDEN'
    | 'ERR_CACHE_NOT_A_NUMBER'
    | 'ERR_CIRCUIT_TIMEOUT'
    | 'ERR_FENCING_UNAVAILABLE'
    | 'ERR_FINGERPRINT_UNAVAILABLE'
    | 'ERR_GOSCOPE_CONNECTION'
    | 'ERR_GOSCOPE_HOOK'
    | 'ERR_GOSCOPE_TARGET_SESSION'
    | 'ERR_GOSCOPE_TLS'
    | 'ERR_IDEMPOTENCY_FINGERPRINT_MISMATCH'
    | 'ERR_IDEMPOTENCY_RESULT_GONE'
    | 'ERR_INTERNAL_ASSERTION'
    | 'ERR_LEASE_LOST'
    | 'ERR_REENTRANCY_UNAVAILABLE'
    | 'ERR_TRANSACTION_ENDED'
    | 'ERR_TRANSACTION_ROLLED_BACK'
    | 'ERR_WITHIN_TRANSACTION'
    | 'ERR_WORK_WAITS_FOR_ITSELF'
    | 'ERR_WORK_WAIT_TIMEOUT'
}

/**
 * An error of this package, identified by its `code`.
 *
 * @category Errors
 * @example
 * ```ts
 * try {
 *   await adapter.lock('invoices', { ttl: 30_000, wait: 1_000 })
 * } catch (error) {
 *   const failure = error as GoscopeError
 *   if (failure.code !== 'ERR_LOCK_WAIT_TIMEOUT') throw error
 *   console.log('held by', failure.holder)
 * }
 * ```
 */
export type GoscopeError =
  | LockWaitTimeoutError
  | CircuitOpenError
  | UnreadableRowError
  | TableError
  | ArgumentError
  | OtherGoscopeError
