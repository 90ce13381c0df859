import adapters from './index.js'

export const {
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
  buildInfo,
  createPostgresAdapter,
  operations,
  quantile,
} = adapters
