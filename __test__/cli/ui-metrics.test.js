// @ts-check
// @configurations last
// @without first: an hour of figures; here cli/ui and cli/ui-changes run
// Plots of `goscope-postgres ui --metrics`: of applications that serve their metrics as JSON, or something else.
'use strict'

const assert = require('node:assert/strict')
const http = require('node:http')
const { after, before, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { figuresOf, since, totalsOf } = require('../../cli/ui/figures.js')
const { useDatabase } = require('../support/database.js')
const { deadPort } = require('../support/dead-port.js')
const { startPage } = require('../support/ui.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()

/** @type {Awaited<typeof database>} */
let db
before(async () => {
  db = await database
})

/**
 * An application, or what takes its place.
 *
 * @param {(request: http.IncomingMessage, response: http.ServerResponse) => unknown} answer
 * @returns {Promise<string>} its URL
 */
async function serve(answer) {
  const server = http.createServer(answer)
  after(() => void server.close().closeAllConnections())
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`
}

/** @param {string[]} urls */
async function look(...urls) {
  const { page } = await startPage(
    urls.flatMap((url) => ['--metrics', url]),
    { DATABASE_URL: db.ownUrl },
  )
  return { page, stream: page.look('plots') }
}

test('two applications together and each for itself, with their rates, latencies, errors and hits', async () => {
  const pool = db.pool({ connectionString: db.ownUrl })
  const adapter = new PostgresAdapter(pool, { keyPrefix: 'm:' })
  await adapter.connect()
  const cache = new PostgresCacheAdapter(db.pool({ connectionString: db.ownUrl }), { tableName: 'own' })
  await cache.initialize()
  const working = setInterval(() => {
    void adapter.get('a')
    void adapter.set('a', 'b\0').catch(() => {})
    void cache.get('absent')
  }, 20)
  const one = await serve((_, response) => response.end(JSON.stringify(adapter.metrics())))
  const two = await serve(async (_, response) =>
    response.end(JSON.stringify({ ...cache.metrics(), cache: await cache.stats() })),
  )
  const { page, stream } = await look(one, two)
  await until('samples', () => stream.last('plots')?.series.at.length >= 2)
  const all = stream.last('plots')
  stream.close()
  const nameOf = (/** @type {string} */ url) => new URL(url).host
  assert.deepEqual(
    all.applications,
    [one, two].map((url) => ({ name: nameOf(url), problem: null })),
  )
  const { 'cache.get': get, 'cache.set': set } = all.operations
  assert.ok(get.calls > set.calls && set.calls > 0, JSON.stringify(all.operations))
  assert.ok(set.errors > 0 && set.codes['22P05'] > 0 && get.errors === 0)
  assert.ok(get.p50 > 0 && get.p50 <= get.p95 && get.p95 <= get.p99)
  assert.equal(all.series.hitRatio.at(-1), 0)
  assert.ok(all.series.open.at(-1) >= 2)
  for (const each of Object.values(all.series)) assert.equal(each.length, all.series.at.length)

  const first = page.look('plots', { application: nameOf(one), operation: 'cache.set' })
  await until('the plots of one', () => first.last('plots') !== undefined)
  const { operations, series } = first.last('plots')
  first.close()
  clearInterval(working)
  assert.ok(operations['cache.get'].calls < get.calls * 0.9)
  assert.equal(series.hitRatio.at(-1), null)
  assert.equal(series.calls.at(-1), operations['cache.set'].calls)
  assert.ok(series.errors.at(-1) > 0)
})

test('an application that is away, or serves something else, is shown as that, beside the others', async () => {
  const metrics = { operations: {}, pool: {}, calls: {} }
  const urls = {
    // The first answers together: the last of them decides.
    silent: await serve(() => {}),
    good: await serve((_, response) => response.end(JSON.stringify(metrics))),
    html: await serve((_, response) => response.end('<script>alert(1)</script>')),
    other: await serve((_, response) => response.end('{"pool":{}}')),
    array: await serve((_, response) => response.end('[]')),
    refused: await serve((_, response) => response.writeHead(500).end()),
    elsewhere: await serve((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1' }).end()),
    endless: await serve((_, response) => {
      response.on('close', () => clearInterval(writing))
      const writing = setInterval(() => response.write(' '.repeat(1 << 20)), 5)
    }),
    gone: `http://127.0.0.1:${await deadPort()}`,
  }
  const { stream } = await look(...Object.values(urls))
  await until('the first answers', () => typeof stream.last('plots')?.applications[0].problem === 'string')
  const { applications } = stream.last('plots')
  stream.close()
  const problem = (/** @type {keyof typeof urls} */ name) => applications[Object.keys(urls).indexOf(name)].problem
  assert.equal(problem('good'), null)
  assert.match(problem('html'), /is not JSON/)
  assert.match(problem('other'), /not what metrics\(\) returns/)
  assert.match(problem('array'), /not what metrics\(\) returns/)
  assert.match(problem('refused'), /answers with 500/)
  assert.match(problem('elsewhere'), /redirect/)
  assert.match(problem('endless'), /more than 4 MiB/)
  assert.match(problem('silent'), /no answer within 4 s/)
  assert.match(problem('gone'), /ECONNREFUSED/)
})

test('credentials and the query of a URL are sent, and shown nowhere', async () => {
  /** @type {(string | undefined)[]} */
  const asked = []
  const url = new URL(
    await serve(({ headers, url }, response) => {
      asked.push(headers.authorization, url)
      response.end('{"operations":{},"pool":{}}')
    }),
  )
  url.username = 'prom'
  url.password = 'geheim-7f3a'
  url.pathname = '/metrics'
  url.search = '?key=geheim-key'
  const { page, stream } = await look(url.href)
  await until('it is asked', () => asked.length > 0)
  await until('it is known', () => stream.last('plots') !== undefined)
  assert.equal(asked[0], `Basic ${Buffer.from('prom:geheim-7f3a').toString('base64')}`)
  assert.equal(asked[1], '/metrics?key=geheim-key')
  assert.deepEqual((await page.ask('/api/session')).json().applications, [`${url.host}/metrics`])
  assert.doesNotMatch(JSON.stringify(stream.events), /geheim/)
  stream.close()
})

const LATENCY = { bounds: [1, 2, 4], counts: [0, 0, 0, 0] }
/** @param {number} calls @param {number[]} counts */
const document = (calls, counts) => ({
  operations: { get: { calls, errors: { E: calls / 2 }, latency: { ...LATENCY, counts } } },
  pool: { open: 1 },
  calls: { inFlight: 0 },
  cache: { hits: calls, misses: calls },
})

test('figures are those between two answers, and from its start for an application that has started anew', () => {
  const [before, now, anew] = [
    document(10, [10, 0, 0, 0]),
    document(30, [10, 20, 0, 0]),
    document(4, [0, 0, 4, 0]),
  ].map((each) => /** @type {NonNullable<ReturnType<typeof totalsOf>>} */ (totalsOf(each)))
  const later = figuresOf([since(now, before)], 10)
  assert.deepEqual([later.all.calls, later.all.errors, later.hitRatio], [2, 1, 0.5])
  assert.deepEqual([later.all.p50, later.all.codes], [1.5, { E: 10 }])
  const restarted = figuresOf([since(anew, now)], 2)
  assert.deepEqual([restarted.all.calls, restarted.all.p50], [2, 3])
  const both = figuresOf([since(now, before), since(now, before)], 10)
  assert.deepEqual([both.all.calls, both.operations.get.calls, both.now.open, both.hitRatio], [4, 4, 2, 0.5])
})

test('a document of any content gives numbers, and changes no prototype', () => {
  const operations = JSON.parse(
    '{"__proto__": {"calls": 5}, "constructor": {"calls": 3, "errors": {"__proto__": 1}}, "a": null}',
  )
  const totals = totalsOf({ operations, pool: { open: -1, idle: 'x', max: null } })
  assert.ok(totals)
  const figures = figuresOf([since(totals, totals), totals], 1)
  assert.deepEqual([figures.now.open, figures.now.idle, figures.now.max], [0, 0, 0])
  assert.equal(figures.operations.a.calls, 0)
  assert.equal(/** @type {any} */ (figures.operations).constructor.p50, null)
  assert.equal(/** @type {any} */ ({}).calls, undefined)
  for (const other of [null, 1, 'x', [], {}, { operations: 1, pool: {} }]) assert.equal(totalsOf(other), undefined)
  const names = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`${'n'.repeat(500)}${n}`, {}]))
  const many = totalsOf({ operations: names, pool: {} })
  assert.ok(many !== undefined && many.operations.size <= 200)
})
