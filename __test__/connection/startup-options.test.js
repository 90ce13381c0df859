// @ts-check
// @configurations first
// Start-up options: servers and poolers that refuse them are used without our settings.
'use strict'

const assert = require('node:assert/strict')
const net = require('node:net')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { failureOf } = require('../support/drivers.js')

const database = useDatabase()

/**
 * A pooler that answers a start-up with `options` with an error, as several do, and forwards everything else.
 *
 * @param {string} serverUrl
 * @param {{ code: string, atQuery?: boolean }} how `atQuery`: it accepts the start-up, and refuses the first query
 */
async function startRefusing(serverUrl, { code, atQuery }) {
  const target = new URL(serverUrl)
  const { hostname: host, port } = target
  const starts = { withOptions: 0, without: 0 }
  const server = net.createServer((client) => {
    client.on('error', () => {})
    client.once('data', (packet) => {
      const has = packet.includes('\0options\0')
      starts[has ? 'withOptions' : 'without']++
      if (has && !atQuery) return client.end(refusal(code))
      const upstream = net.connect(Number(port), host)
      upstream.on('error', () => client.destroy())
      upstream.write(packet)
      client.on('data', (data) => {
        // `p` is a password. The next message is the first query.
        if (has && data[0] !== 0x70) client.end(refusal(code))
        else upstream.write(data)
      })
      upstream.pipe(client)
      client.on('close', () => upstream.destroy())
    })
  })
  after(() => server.close())
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  target.port = String(/** @type {net.AddressInfo} */ (server.address()).port)
  return { url: target.href, starts }
}

/** @param {string} code */
function refusal(code) {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0Mno options here\0\0`)
  const head = Buffer.from([0x45, 0, 0, 0, fields.length + 4])
  return Buffer.concat([head, fields])
}

for (const code of ['08P01', '0A000', '22021', '22023', '42501', '42704', 'XX000']) {
  for (const atQuery of code === '08P01' ? [false] : [false, true]) {
    test(`a server that refuses options with ${code}${atQuery ? ', at the first query' : ''}`, async () => {
      const { url, starts } = await startRefusing((await database).url, { code, atQuery })
      const pool = (await database).pool({ connectionString: url, max: 1, maxUses: 1 })
      const adapter = new PostgresAdapter(pool)
      for (let n = 0; n < 4; n++) {
        await adapter.set('k', n)
        assert.equal(await adapter.get('k'), n)
      }
      await adapter.disconnect()
      // The refusal is remembered: only the first connection fails first.
      assert.equal(starts.withOptions, 1)
      assert.ok(starts.without > 1, String(starts.without))
    })
  }
}

for (const code of ['28P01', '28000', '3D000', '53300', '57P03']) {
  test(`${code} is no refusal of options, and is not retried`, async () => {
    const { url, starts } = await startRefusing((await database).url, { code })
    const adapter = new PostgresAdapter((await database).pool({ connectionString: url }))
    assert.equal((await failureOf(adapter.get('k'))).code, code)
    assert.equal(starts.without, 0)
  })
}

test('a default isolation level of its own does not affect the statements, and costs nothing if absent', async () => {
  const db = await database
  for (const isolation of ['serializable', 'repeatable read', 'read committed']) {
    const escaped = isolation.replace(' ', '\\ ')
    const pool = db.pool({ options: `-c default_transaction_isolation=${escaped}`, application_name: 'isolated' })
    const adapter = new PostgresAdapter(pool)
    const counts = await Promise.all(Array.from({ length: 50 }, () => adapter.recordFailure(isolation, 1e6)))
    assert.deepEqual(
      counts.map(Number).sort((a, b) => a - b),
      Array.from({ length: 50 }, (_, n) => n + 1),
    )
    await adapter.disconnect()
  }
})
