// Compiled, never run: the limiter is one of rate-limiter-flexible 5 and 11.

import { PostgresAdapter } from 'goscope-postgres'
import {
  PostgresRateLimiter,
  type PostgresRateLimiterOptions,
  type RateLimiterResult,
} from 'goscope-postgres/rate-limiter-flexible'
import { Pool } from 'pg'
import * as limiters11 from 'rate-limiter-flexible11'
import * as limiters5 from 'rate-limiter-flexible5'

const options: PostgresRateLimiterOptions = {
  storeClient: new Pool(),
  points: 5,
  duration: 1,
  tableName: 'app.limits',
  durability: 'unlogged',
  insuranceLimiter: new limiters11.RateLimiterMemory({ points: 1, duration: 1 }),
}
const limiter = new PostgresRateLimiter(options)
export const of5: limiters5.RateLimiterAbstract = limiter
export const of11: limiters11.RateLimiterAbstract = limiter
export const unions = [new limiters5.RateLimiterUnion(limiter), new limiters11.RateLimiterUnion(limiter)]
export const queue = new limiters11.RateLimiterQueue(limiter)
export const result: Promise<limiters11.RateLimiterRes> = limiter.consume('key')
export const own: Promise<RateLimiterResult | null> = new PostgresRateLimiter({
  storeClient: new PostgresAdapter(),
  points: 1,
  duration: 0,
}).get(42)
// @ts-expect-error the points are missing
new PostgresRateLimiter({ duration: 1 })
