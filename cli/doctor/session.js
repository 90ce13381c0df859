// @ts-check
// Checks what is between this process and the server: transport, a pooler, clocks.
'use strict'

const { clock } = require('../queries/server.js')
const { duration } = require('../units.js')
const { ok, warning } = require('./check.js')
const { checkPooler } = require('./pooler.js')

/** Above this difference, times in logs and times in tables do not match. */
const SKEW_MS = 1000

const SAMPLES = 5

/**
 * @param {import('../session.js').Session} session
 * @param {import('../options.js').Given} given
 * @returns {Promise<import('./check.js').Check[]>}
 */
async function checkSession(session, given) {
  return [
    transport(session.server),
    await checkPooler(session.server, given),
    zones(session.server),
    await clocks(session),
  ]
}

/** @param {any} server */
function transport({ tls, address }) {
  if (tls) return ok('transport', tls)
  if (address === null) return ok('transport', 'a Unix socket')
  if (/^(127\.|::1$)/.test(address)) return ok('transport', 'plaintext, on this machine')
  const advice =
    'Turn TLS on: sslmode=require in the URL, PGSSLMODE or `ssl`. (With a pooler in between, this is of its other side.)'
  return warning('transport', 'plaintext: passwords, keys and values can be read on the way', advice)
}

/** @param {any} server */
function zones({ settings }) {
  const ours = Intl.DateTimeFormat().resolvedOptions().timeZone
  return ok(
    'time zones',
    `session in ${settings.TimeZone}, process in ${ours}; none matters: TIMESTAMP columns hold UTC`,
  )
}

/**
 * Measured at the middle of the fastest of several round trips.
 *
 * @param {import('../session.js').Session} session
 */
async function clocks(session) {
  let best = { roundTrip: Infinity, skew: 0 }
  for (let sample = 0; sample < SAMPLES; sample++) {
    const [sent, started] = [Date.now(), performance.now()]
    const theirs = await clock(session)
    const roundTrip = performance.now() - started
    if (roundTrip < best.roundTrip) best = { roundTrip, skew: theirs - (sent + roundTrip / 2) }
  }
  const { skew, roundTrip } = best
  const way = `a round trip takes ${roundTrip.toFixed(1)} ms`
  if (Math.abs(skew) < SKEW_MS + roundTrip / 2) return ok('clocks', `the server’s and this machine’s agree; ${way}`)
  const message = `the server’s clock is ${duration(Math.abs(skew))} ${skew > 0 ? 'ahead of' : 'behind'} this machine’s; ${way}`
  return warning(
    'clocks',
    message,
    'The server’s alone decides, so locks are safe. Times that you compare may mislead: set up NTP.',
  )
}

module.exports = { checkSession }
