// @ts-check
// @configurations last
// @without first: it builds an application of Next.js
// @package packed
// The cache handler for Next.js, in two instances of an application that is built and deployed as its standalone output.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { Consumer, PG, applicationEnv, tarball } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { freePort, serve } = require('../support/registry.js')
const { until } = require('../support/waiting.js')

const example = path.join(__dirname, '../../examples/integrations/next-cache')
const TELEMETRY = { NEXT_TELEMETRY_DISABLED: '1' }

/** @typedef {{ get: (path: string, headers?: Record<string, string>) => Promise<Buffer>, revalidate: () => Promise<void> }} Instance */

const database = useDatabase()
const deployed = new Consumer()
/** @type {Instance} */
let one
/** @type {Instance} */
let other
/** @type {Awaited<ReturnType<typeof startProxy>>} */
let proxy

before(async () => {
  const application = new Consumer()
  fs.cpSync(example, application.folder, { recursive: true })
  await application.install([await tarball(), PG, 'next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'])
  // There is no database yet.
  await application.succeed(['node_modules/next/dist/bin/next', 'build'], { env: TELEMETRY })
  fs.cpSync(application.path('.next/standalone'), deployed.folder, { recursive: true, verbatimSymlinks: true })
  fs.rmSync(application.folder, { recursive: true })

  const { url } = await database
  proxy = await startProxy(url)
  ;[one, other] = await Promise.all([startInstance(url), startInstance(proxy.url)])
})

/**
 * @param {string} url of its database
 * @returns {Promise<Instance>}
 */
async function startInstance(url) {
  const port = await freePort()
  const env = { ...applicationEnv(), ...TELEMETRY, DATABASE_URL: url, HOSTNAME: '127.0.0.1', PORT: String(port) }
  const server = serve(['server.js'], { cwd: deployed.folder, env })
  const request = async (/** @type {string} */ path, /** @type {RequestInit} */ init = {}) => {
    server.mustRun()
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    assert.ok(response.ok, `${path}: ${response.status}`)
    return Buffer.from(await response.arrayBuffer())
  }
  await until('the instance to answer', () =>
    request('/ready').catch(() => {
      server.mustRun()
      return undefined
    }),
  )
  return {
    get: (path, headers = {}) => request(path, { headers }),
    revalidate: async () => void (await request('/revalidate', { method: 'POST' })),
  }
}

/** What the page was rendered with. */
const idOf = (/** @type {Buffer} */ page) => {
  const [id] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(page.toString()) ?? []
  assert.ok(id, page.toString())
  return id
}

/**
 * Headers with which the application's router asks for the parts of a page that are a Buffer, and in a Map.
 *
 * @type {Record<string, string>[]}
 */
const PAYLOADS = [
  { rsc: '1' },
  { rsc: '1', 'next-router-prefetch': '1', 'next-router-segment-prefetch': '/tag/__PAGE__' },
]

test('the other instance serves what one has rendered', async () => {
  const id = idOf(await one.get('/tag'))
  assert.equal(idOf(await other.get('/tag')), id)
  assert.equal(idOf(await one.get('/tag')), id)
  for (const headers of PAYLOADS) assert.equal(idOf(await other.get('/tag', headers)), id)
  const bytes = await other.get('/bytes')
  assert.equal(bytes.length, 256)
  assert.deepEqual(await one.get('/bytes'), bytes)
})

test('revalidation by time', async () => {
  const id = idOf(await one.get('/time'))
  const next = await otherThan(id, () => other.get('/time'))
  await otherThan(next, () => one.get('/time'))
  const isShared = async () => idOf(await one.get('/time')) === idOf(await other.get('/time'))
  await until('both instances to serve one rendering', isShared)
})

test('both instances see a tag that one has revalidated', async () => {
  for (const [revalidating, seeing] of /** @type {const} */ ([
    [one, other],
    [other, one],
  ])) {
    const id = idOf(await seeing.get('/tag'))
    // Next.js answers before it calls the cache handler.
    await revalidating.revalidate()
    const next = await otherThan(id, () => seeing.get('/tag'))
    assert.equal(idOf(await revalidating.get('/tag')), next)
  }
})

test('an instance without its database renders, and has the cache again with it', async () => {
  const id = idOf(await one.get('/tag'))
  proxy.refuse()
  proxy.cutAll()
  assert.notEqual(idOf(await other.get('/tag')), id)
  proxy.refuse(false)
  await until('the cache to be read again', async () => idOf(await other.get('/tag')) === id)
})

test('values come back exactly, and entries end by their time and by tags, also those that are stored later', async () => {
  deployed.write('handler.mjs', HANDLER)
  await deployed.succeed(['handler.mjs'], { env: { DATABASE_URL: (await database).url } })
})

/**
 * @param {string} id
 * @param {() => Promise<Buffer>} visit
 */
function otherThan(id, visit) {
  return until('another rendering', async () => {
    const found = idOf(await visit())
    return found === id ? undefined : found
  })
}

const HANDLER = String.raw`
import assert from 'node:assert/strict'
import path from 'node:path'
import Handler from './cache-handler.mjs'

const request = () => new Handler({ serverDistDir: path.resolve('.next/server') })
const find = (key) => request().get(key, { kind: 'APP_PAGE', isFallback: false })
const body = Buffer.from([0, 255, 10])
const headers = { 'x-next-cache-tags': 'one,two' }
const value = { kind: 'APP_PAGE', html: '\0', headers, rscData: body, segmentData: new Map([['/', body]]), postponed: undefined }
const store = async (key, cacheControl) => {
  const rendering = request()
  assert.equal(await rendering.get(key, {}), null)
  return () => rendering.set(key, value, { cacheControl })
}

const store1 = await store('/before', { revalidate: false })
await store1()
const found = await find('/before')
assert.deepEqual(found.value, value)
assert.deepEqual(found.cacheControl, { revalidate: false })

const storeOld = await store('/after', { revalidate: false })
await Promise.all(['two', ['three'], ['two', 'four']].map((tags) => request().revalidateTag(tags)))
await storeOld()
assert.equal(await find('/before'), null)
assert.equal(await find('/after'), null)
const storeNew = await store('/after', { revalidate: false })
await storeNew()
assert.deepEqual((await find('/after')).value, value)

const storeBrief = await store('/brief', { revalidate: 1, expire: 2 })
await storeBrief()
while (await find('/brief'));
process.exit()
`
