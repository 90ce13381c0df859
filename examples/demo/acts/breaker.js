// @ts-check
'use strict'

const { once } = require('node:events')
const http = require('node:http')
const { setTimeout: delay } = require('node:timers/promises')

const PROCESSES = 4
const ATTEMPTS = 25
const MAX_FAILURES = 10
// Each process may have one call under way when the last failure that was allowed is counted.
const MAX_CALLS = MAX_FAILURES + PROCESSES - 1
const BREAKER = 'payments'
const SERVICE_MS = 20

const title = 'One circuit breaker, shared by all'

/** @typedef {Awaited<ReturnType<import('../crew.js').Crew['start']>>[number]} Member */

/** @param {import('../stage.js').Stage} stage */
async function run(stage) {
  const service = await startService()
  try {
    const clients = await stage.crew.start('breaker', PROCESSES)
    await trip(stage, clients, service)
    await recover(stage, clients, service)
    await Promise.all(clients.map((client) => client.dismiss()))
  } finally {
    service.stop()
  }
}

/**
 * @param {import('../stage.js').Stage} stage
 * @param {Member[]} clients
 * @param {Service} service
 */
async function trip(stage, clients, service) {
  stage.note(
    `${PROCESSES} processes call a service ${ATTEMPTS} times each; it fails, and ${MAX_FAILURES} failures open`,
  )
  const rows = clients.map(({ name }) => ({ name, done: 0, total: ATTEMPTS, text: '' }))
  const outcomes = await stage.watch('attempts', rows, () =>
    Promise.all(
      clients.map((client, at) =>
        client.ask('callService', { url: service.url }, (progress) => Object.assign(rows[at] ?? {}, progress)),
      ),
    ),
  )
  const counts = outcomes.flatMap((outcome) => outcome.counts).sort((a, b) => a - b)
  const states = await statesSeen(clients)
  stage.note(`the breaker refused ${PROCESSES * ATTEMPTS - service.calls} of ${PROCESSES * ATTEMPTS} calls`)
  stage.claim(
    'every failure was counted, and none twice',
    counts.length === service.calls && counts.every((count, at) => count === at + 1),
    `${counts[0]} to ${counts.at(-1)}`,
  )
  stage.claim(
    'the breaker is open for all',
    states.every((state) => state === 'open'),
    states.join(', '),
  )
  stage.claim(
    `at most ${MAX_CALLS} calls reached the failing service`,
    service.calls >= MAX_FAILURES && service.calls <= MAX_CALLS,
    `${service.calls}`,
  )
}

/**
 * @param {import('../stage.js').Stage} stage
 * @param {Member[]} clients
 * @param {Service} service
 */
async function recover(stage, clients, service) {
  service.recover()
  const before = await stage.adapter.getState(BREAKER)
  if (before) await stage.adapter.setState(BREAKER, { ...before, state: 'half-open' })
  const halfOpen = await statesSeen(clients)
  stage.note(`the service has recovered; the breaker is ${halfOpen.join(', ')}; each process may try`)
  await Promise.all(clients.map((client) => client.ask('probe', { url: service.url })))
  const states = await statesSeen(clients)
  const after = await stage.adapter.getState(BREAKER)
  stage.claim('one probe reached the recovered service', service.calls === 1, `${service.calls}`)
  stage.claim(
    'its success closed the breaker for all',
    halfOpen.every((state) => state === 'half-open') &&
      states.every((state) => state === 'closed') &&
      after?.failureCount === 0,
    states.join(', '),
  )
}

/** @param {Member[]} clients */
const statesSeen = (clients) => Promise.all(clients.map((client) => client.ask('look')))

/** @typedef {Awaited<ReturnType<typeof startService>>} Service */

async function startService() {
  let status = 503
  let calls = 0
  const server = http.createServer((_, response) => {
    calls++
    setTimeout(() => response.writeHead(status).end(), SERVICE_MS)
  })
  // A call that meets the end of an idle connection would fail for no fault of the breaker.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${port}`,
    get calls() {
      return calls
    },
    recover() {
      status = 200
      calls = 0
    },
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

// What the processes do

/**
 * @param {import('../worker.js').Work} work
 * @param {{ url: string }} order
 */
async function callService({ adapter, progress }, { url }) {
  const counts = []
  for (let done = 1; done <= ATTEMPTS; done++) {
    if (await isOpen(adapter)) {
      progress({ done, text: 'refused by the breaker' })
      await delay(SERVICE_MS)
      continue
    }
    const { ok, status } = await fetch(url)
    if (ok) await adapter.recordSuccess(BREAKER)
    else counts.push(await adapter.recordFailure(BREAKER, MAX_FAILURES))
    progress({ done, text: `the service answered ${status}, failure ${counts.at(-1)}` })
  }
  return { counts }
}

/**
 * Tries the service for all, unless another process is at it or has been.
 *
 * @param {import('../worker.js').Work} work
 * @param {{ url: string }} order
 */
async function probe({ adapter }, { url }) {
  const lock = await adapter.acquire(`probe:${BREAKER}`, 60_000)
  if (!lock) return
  const state = await adapter.getState(BREAKER)
  if (state?.state === 'half-open' && (await fetch(url)).ok) await adapter.recordSuccess(BREAKER)
  await lock.release()
}

/** @param {import('goscope-postgres').PostgresAdapter} adapter */
const isOpen = async (adapter) => (await adapter.getState(BREAKER))?.state === 'open'

/** @param {import('../worker.js').Work} work */
const look = async ({ adapter }) => (await adapter.getState(BREAKER))?.state

module.exports = { title, run, commands: { callService, probe, look } }
