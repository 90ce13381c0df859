// @ts-check
// Sends requests to server.js as a load balancer does, ends it by SIGTERM in the midst of them, and counts what was lost.
//
//     npm ci && npm run build && node examples/graceful-shutdown/main.js
'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Client } = require('pg')
const { startPostgres } = require('goscope-postgres/embedded')

const CLIENTS = 20
const SEATS = 8

async function main() {
  const postgres = await startPostgres()
  const env = { ...process.env, DATABASE_URL: postgres.url, HOST: '127.0.0.1', PORT: '0', DRAIN_MS: '500' }
  const server = spawn(process.execPath, [path.join(__dirname, 'server.js')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(server.stdout, 'data')
  const balancer = new LoadBalancer(Number(/\d+/.exec(String(line))?.[0]))

  const clients = Array.from({ length: CLIENTS }, (_, client) => balancer.send(`/seat-${client % SEATS}`))
  const checks = balancer.check()
  await sleep(500)
  server.kill('SIGTERM')
  await Promise.all([...clients, checks])
  const [code] = server.exitCode === null ? await once(server, 'exit') : [server.exitCode]

  const client = new Client(postgres.url)
  await client.connect()
  const { rows: locks } = await client.query('SELECT key FROM go_goscope_locks')
  const { rows } = await client.query(
    "SELECT sum(value::int)::int AS n FROM go_goscope_cache WHERE key LIKE 'cache:booked:%'",
  )
  await client.end()
  await postgres.stop()

  console.log('requests were answered:', balancer.answered > 0)
  console.log('lost:', balancer.lost.length)
  console.log('answered but not done:', balancer.answered - rows[0].n)
  console.log('locks left:', locks.length)
  console.log('exit code:', code)
}

/** Sends requests until a readiness check fails, and waits for all answers. */
class LoadBalancer {
  #agent = new http.Agent({ keepAlive: true })
  #isReady = true
  answered = 0
  /** @type {unknown[]} */
  lost = []

  /** @param {number} port */
  constructor(port) {
    this.port = port
  }

  async check() {
    while (this.#isReady) {
      await sleep(20)
      const status = await this.#request('/ready').catch((error) => error)
      this.#isReady = status === 200
    }
  }

  /** @param {string} url */
  async send(url) {
    while (this.#isReady) {
      const status = await this.#request(url).catch((error) => error)
      if (status === 200) this.answered++
      else this.lost.push(status)
    }
  }

  /**
   * @param {string} url
   * @returns {Promise<number | undefined>} the status
   */
  #request(url) {
    return new Promise((resolve, reject) => {
      const request = http.get({ port: this.port, host: '127.0.0.1', path: url, agent: this.#agent }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode))
        response.on('error', reject)
      })
      request.on('error', reject)
    })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
