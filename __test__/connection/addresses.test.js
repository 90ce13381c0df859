// @ts-check
// @configurations first
// Hosts with several addresses, some of which drop all packets: the next address is tried, as in Node and so in pg.
'use strict'

const assert = require('node:assert/strict')
const dns = require('node:dns')
const net = require('node:net')
const os = require('node:os')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { deadAddress } = require('../support/dead-address.js')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()

const hasIPv6 = Object.values(os.networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
const isLinux = process.platform === 'linux'
const onlyLinux = isLinux ? false : 'all of 127.0.0.0/8 is this machine where it is Linux'
const onlyIPv6 = isLinux && hasIPv6 ? false : 'this machine has no IPv6 on its loopback'

/**
 * Makes a name resolve to some addresses.
 *
 * @param {import('node:test').TestContext} t
 * @param {string[]} all
 */
function resolveTo(t, all) {
  const addresses = all.map((address) => ({ address, family: net.isIP(address) }))
  const lookup = (/** @type {string} */ _, /** @type {any} */ __, /** @type {Function} */ found) =>
    process.nextTick(found, null, addresses)
  t.mock.method(dns, 'lookup', /** @type {any} */ (lookup))
  t.mock.method(dns.promises, 'lookup', /** @type {any} */ (async () => addresses))
}

async function configuration() {
  const url = new URL((await database).url)
  const { username: user, password, port } = url
  return { host: 'several.example', port: Number(port || 5432), user, password, database: url.pathname.slice(1) }
}

for (const [title, dead, skip] of /** @type {[string, string, string | false][]} */ ([
  ['a dead IPv6 address and a live IPv4 address', '::1', onlyIPv6],
  ['two A records, of which the first is dead', '127.0.0.2', onlyLinux],
])) {
  test(`${title}: pg connects, and so do we`, { skip }, async (t) => {
    const config = await configuration()
    await deadAddress(dead, config.port)
    resolveTo(t, [dead, '127.0.0.1'])
    const client = new pg.Client(config)
    await inTime('pg', client.connect())
    await client.end()
    const adapter = new PostgresAdapter(new pg.Pool(config))
    await inTime('the adapter', adapter.set('reached', title))
    assert.equal(await adapter.get('reached'), title)
    await adapter.disconnect()
  })
}

test('three addresses of two families are tried with alternating families', { skip: onlyIPv6 }, async (t) => {
  const config = await configuration()
  // In the order of the lookup, the live address would be the last, after two time limits.
  for (const dead of ['::1', '127.0.0.3']) await deadAddress(dead, config.port)
  resolveTo(t, ['::1', '127.0.0.3', '127.0.0.1'])
  const adapter = new PostgresAdapter(new pg.Pool(config))
  await inTime('the adapter', adapter.set('families', 1))
  await adapter.disconnect()
})

test('all addresses dead: connectionTimeoutMillis ends the attempt, or the error is that of the last address', {
  skip: onlyLinux,
}, async (t) => {
  const config = await configuration()
  await deadAddress('127.0.0.4', config.port)
  resolveTo(t, ['127.0.0.4', '127.0.0.5'])
  const refused = new PostgresAdapter(new pg.Pool(config))
  const error = await inTime(
    'the refusal',
    refused.get('x').then(
      () => assert.fail('nothing listens there'),
      (thrown) => thrown,
    ),
  )
  assert.equal(error.name, 'AggregateError')
  assert.deepEqual(
    error.errors.map((/** @type {any} */ { code, address }) => [code, address]),
    [
      ['ETIMEDOUT', '127.0.0.4'],
      ['ECONNREFUSED', '127.0.0.5'],
    ],
  )
  await refused.disconnect()
  resolveTo(t, ['127.0.0.5', '127.0.0.4'])
  const limited = new PostgresAdapter(new pg.Pool({ ...config, connectionTimeoutMillis: 600 }))
  await assert.rejects(inTime('the limit', limited.get('x')), /timeout/)
  await limited.disconnect()
})
