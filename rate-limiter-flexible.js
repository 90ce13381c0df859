// @ts-check
'use strict'

// Its types are not installed here.
const { RateLimiterRedis, RateLimiterRes } = require(/** @type {string} */ ('rate-limiter-flexible'))
const { rateLimiterOn } = require('./lib/integrations/rate-limiter.js')

// The base class of its limiters with a store, which it does not export.
const RateLimiterStoreAbstract = Object.getPrototypeOf(RateLimiterRedis)
const PostgresRateLimiter = rateLimiterOn(RateLimiterStoreAbstract, RateLimiterRes)

module.exports = { PostgresRateLimiter }
