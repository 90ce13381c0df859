// @ts-check
// @configurations first
// Options that are numbers accept any number: none freezes the event loop or the pool, whatever its effect.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()

const NUMBERS = [
  1e22,
  Number.MAX_VALUE,
  Number.POSITIVE_INFINITY,
  Number.NaN,
  -1,
  -1e22,
  0.5,
  1500.75,
  2 ** 31,
  2 ** 53,
]

const OPTIONS = [
  'connectionTimeoutMillis',
  'idleTimeoutMillis',
  'maxLifetimeSeconds',
  'maxUses',
  'max',
  'min',
  'query_timeout',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'keepAliveInitialDelayMillis',
]

/** pg's error for an expired time limit, and the server's error for an invalid setting. */
const REFUSALS = new Set(['ETIMEDOUT', '22023', '57014', '55P03'])

for (const option of OPTIONS) {
  test(`${option}: any number`, async () => {
    const { url } = await database
    for (const value of NUMBERS) {
      const configuration = { connectionString: url, keepAlive: true, max: 2, [option]: value }
      const adapter = new PostgresAdapter(/** @type {any} */ (configuration))
      // More calls than one statement holds, so that calls have to wait, and their time limits apply.
      const calls = Array.from({ length: 600 }, (_, n) => (n % 2 ? adapter.get(`k${n}`) : adapter.set(`k${n}`, n)))
      const outcomes = await inTime(`${option} ${value}`, Promise.allSettled(calls))
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') continue
        const { code, message } = outcome.reason
        assert.ok(REFUSALS.has(code), `${option} ${value}: ${code} ${message}`)
      }
      // A limit that is never reached has no effect.
      if (value >= 1e22)
        assert.ok(outcomes.every(({ status }) => status === 'fulfilled') || option.endsWith('_timeout'))
      await inTime(`the end, ${option} ${value}`, adapter.disconnect())
    }
  })
}

test('a connection timeout that is never reached has no effect, also while a certificate is verified', async () => {
  const { timeoutOf } = require('../../lib/connecting/certificate-verifier.js')
  assert.deepEqual(
    [0, -1, Number.NaN, 0.5, 1e22, Number.POSITIVE_INFINITY, 2 ** 31].map((ms) => timeoutOf(ms)),
    [0, 0, 0, 0.5, 0, 0, 0],
  )
})
