// @ts-check
// The headers of every answer.
'use strict'

/**
 * Scripts, styles and data come from this server and from nowhere else; no text ever becomes markup or code, which
 * `require-trusted-types-for` makes the browser refuse.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const HEADERS = Object.entries({
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
})

/** @param {import('node:http').ServerResponse} response */
const secure = (response) => {
  for (const [name, value] of HEADERS) response.setHeader(name, value)
}

module.exports = { secure }
