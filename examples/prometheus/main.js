// @ts-check
// An application that shows its metrics to Prometheus, on a port of their own. dashboard.json is for Grafana, alerts.yml for
// Prometheus.
//
//     npm ci && npm run build && node examples/prometheus/main.js
'use strict'

const { once } = require('node:events')
const { createServer } = require('node:http')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')
const { prometheusHandler } = require('goscope-postgres/prometheus')

async function main() {
  const server = await startPostgres()
  const adapter = new PostgresAdapter(server.url)
  const metrics = createServer(prometheusHandler(adapter)).listen(0, '127.0.0.1')
  await once(metrics, 'listening')

  await adapter.set('user:1', { name: 'Ada' })
  await Promise.all([adapter.get('user:1'), adapter.get('user:2')])
  // JSONB cannot hold U+0000: a call that fails.
  await adapter.set('note', 'a\0b').catch(() => {})

  // As Prometheus does, every few seconds.
  const { port } = /** @type {import('node:net').AddressInfo} */ (metrics.address())
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  console.log(response.headers.get('content-type'))
  const lines = (await response.text()).split('\n')
  for (const line of lines.filter((each) => /^goscope_postgres_(calls|errors)_total/.test(each))) console.log(line)

  metrics.close()
  await adapter.disconnect()
  await server.stop()
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
