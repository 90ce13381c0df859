// @ts-check
// The bare statement by a client in JavaScript that does nothing else: a promise and JSON for each call, and one statement
// for all that wait. What an adapter is for is not there: errors, order, arguments, expired entries.
'use strict'

const { Client } = require('pg')
const { TTL, VALUE, keyName } = require('../operations.js')

const CONNECTIONS = 2
const MOST_ROWS = 128

const SET = {
  name: 'set',
  text: `
    INSERT INTO go_goscope_cache (key, value, expires_at)
    SELECT key, value::jsonb, timezone('UTC', now()) + INTERVAL '1 millisecond' * $3
      FROM unnest($1::text[], $2::text[]) AS call (key, value) ORDER BY key COLLATE "C"
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
}

/** @typedef {{ key: string, value: string, done: () => void }} Waiting */

/** @param {string} url */
async function open(url) {
  const idle = Array.from({ length: CONNECTIONS }, () => new Client(url))
  const clients = [...idle]
  for (const client of clients) await client.connect()
  /** @type {Waiting[]} */
  let waiting = []
  let isDue = false

  const send = async (/** @type {Client} */ client) => {
    const batch = waiting.slice(0, MOST_ROWS)
    waiting = waiting.slice(MOST_ROWS)
    // A statement writes a row once: of calls about one key the last remains.
    const rows = new Map(batch.map(({ key, value }) => [key, value]))
    await client.query({ ...SET, values: [[...rows.keys()], [...rows.values()], TTL] })
    for (const { done } of batch) done()
    idle.push(client)
    plan()
  }
  const plan = () => {
    if (isDue) return
    isDue = true
    setImmediate(() => {
      isDue = false
      while (waiting.length > 0 && idle.length > 0) void send(/** @type {Client} */ (idle.pop()))
    })
  }
  return {
    calls: {
      set: (/** @type {number} */ key) =>
        /** @type {Promise<void>} */ (
          new Promise((done) => {
            waiting.push({ key: `cache:${keyName(key)}`, value: JSON.stringify(VALUE), done })
            plan()
          })
        ),
    },
    close: () => Promise.all(clients.map((client) => client.end())),
  }
}

const versions = () => ({ pg: require('pg/package.json').version })

module.exports = { open, versions }
