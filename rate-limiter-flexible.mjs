import limiters from './rate-limiter-flexible.js'

export const { PostgresRateLimiter } = limiters
