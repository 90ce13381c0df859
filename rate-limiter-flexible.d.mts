export * from './rate-limiter-flexible.js'
