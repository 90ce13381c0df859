// @ts-check
// The libraries that the integrations serve, each beside its own PostgreSQL backend; sides/libraries/ has both.
'use strict'

const LIBRARIES = ['keyv', 'express-session', 'rate-limiter-flexible', 'langgraph']

module.exports = { LIBRARIES }
