import adapters from './index.js'

export const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter, buildInfo, operations, quantile } =
  adapters
