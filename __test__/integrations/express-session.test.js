// @ts-check
// @configurations first
// The store for express-session, as npm installs that.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const path = require('node:path')
const { before, test } = require('node:test')
const { promisify } = require('node:util')
const { PostgresAdapter } = require('goscope-postgres')
const { sessionStoreOn } = require('../../lib/integrations/session-store.js')
const { run } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { Browser, serve } = require('../support/http-client.js')
const { REFUSING, assertEndsItsOwn, assertRefusesOptions } = require('../support/integrations.js')
const { install } = require('../support/libraries/library.js')
const { TYPES, compile } = require('../support/libraries/types.js')
const { inTime, until } = require('../support/waiting.js')

const SPECS = ['express-session@1.19.0', '@types/express-session@1.18.2', '@types/express@5.0.5']
const METHODS = ['get', 'set', 'destroy', 'touch', 'all', 'length', 'clear']
const HOUR = 3_600_000

const database = useDatabase()
/** @type {Awaited<ReturnType<typeof install>>} */
let installed
/** @type {any} */
let session
/** @type {any} */
let SessionStore

before(async () => {
  installed = await install([...SPECS, ...TYPES])
  const loaded = await installed.load('express-session')
  session = loaded.default
  SessionStore = sessionStoreOn(loaded.Store)
})

let made = 0

/**
 * A store on a prefix of its own, and its methods as promises.
 *
 * @param {object} [options]
 * @param {any} [source]
 */
async function make(options, source) {
  const db = await database
  const keyPrefix = `${++made}:`
  const store = new SessionStore(source ?? db.plain, { keyPrefix, ...options })
  const call = Object.fromEntries(METHODS.map((name) => [name, promisify(store[name].bind(store))]))
  /** How long the server keeps a session, in ms. */
  const left = async (/** @type {string} */ sid) => {
    const sql =
      "SELECT extract(epoch FROM expires_at - clock_timestamp() AT TIME ZONE 'UTC') * 1e3 AS left FROM go_goscope_sessions WHERE key = $1"
    return Number((await db.query(sql, [keyPrefix + sid]))[0]?.left)
  }
  const { get, set, destroy, touch, all, length, clear } = /** @type {any} */ (call)
  return { db, keyPrefix, store, left, get, set, destroy, touch, all, length, clear }
}

const inFuture = (/** @type {number} */ ms) => new Date(Date.now() + ms)
/** As express-session stores it. */
const dataOf = (/** @type {number} */ ms, data = {}) => ({
  cookie: { originalMaxAge: ms, expires: inFuture(ms).toISOString(), httpOnly: true, path: '/' },
  ...data,
})

/** Its cookie is read as it was stored: one with an end may have that of the entry, which is later by the time of the call. */
const endless = (data = {}) => ({ cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, ...data })

/**
 * A server with sessions. Handlers by their paths.
 *
 * @param {any} store
 * @param {Record<string, (request: any, end: (body: unknown) => void) => void>} handlers
 * @param {object} [options]
 */
function serveSessions(store, handlers, options) {
  const middleware = session({ store, secret: 's', resave: false, saveUninitialized: false, ...options })
  return serve((request, response) => {
    middleware(request, response, (/** @type {any} */ error) => {
      if (error) response.writeHead(500).end(error.code)
      else handlers[String(request.url)]?.(request, (body) => response.end(JSON.stringify(body) ?? ''))
    })
  })
}

test('a session is stored, replaced and destroyed', async () => {
  const { get, set, destroy } = await make()
  assert.equal(await get('a'), null)
  const data = endless({ user: { name: 'Ada €' }, seen: [1, null] })
  await set('a', data)
  assert.deepEqual(await get('a'), data)
  await set('a', dataOf(HOUR, { user: null }))
  assert.equal((await get('a')).user, null)
  await destroy('a')
  await destroy('a')
  assert.equal(await get('a'), null)
})

test('text that JSONB cannot hold is stored all the same', async () => {
  const { get, set, touch, all } = await make()
  const data = endless({ nul: 'a\0b', lone: '\ud800', text: '\\u0000', pair: '😀' })
  await set('a', data)
  assert.deepEqual(await get('a'), data)
  await touch('a', data)
  assert.deepEqual(await all(), [{ ...data, id: 'a' }])
})

test('the JSON of a session is made once, and a cache of the application gets the session itself', async () => {
  const { get, set } = await make()
  let made = 0
  const data = endless({ user: 'Ada' })
  const toJSON = () => {
    made++
    return data
  }
  await set('a', { ...data, toJSON })
  assert.equal(made, 1)
  assert.deepEqual(await get('a'), data)

  /** @type {unknown[]} */
  const kept = []
  class Remembering extends PostgresAdapter {
    /** @param {string} key @param {unknown} value @param {number} [ttl] */
    async set(key, value, ttl) {
      kept.push(value)
      await super.set(key, value, ttl)
    }
  }
  const own = {
    getEntry: async () => null,
    set: async (/** @type {string} */ _, /** @type {unknown} */ value) => kept.push(value),
  }
  for (const cache of [new Remembering((await database).plain), own]) {
    const store = new SessionStore(cache)
    await promisify(store.set.bind(store))('a', data)
  }
  assert.deepEqual(kept, [data, data])
})

test('all, length and clear are about the sessions of the prefix that have not ended', async () => {
  const { set, all, length, clear } = await make()
  const other = await make()
  await other.set('other', dataOf(HOUR))
  await Promise.all(Array.from({ length: 1_100 }, (_, n) => set(`s${n}`, dataOf(HOUR, { n }))))
  await set('short', dataOf(30))
  await until('it has ended', async () => (await length()) === 1_100)
  const sessions = await all()
  assert.equal(sessions.length, 1_100)
  assert.ok(sessions.every((/** @type {any} */ { id, n }) => id === `s${n}`))
  await clear()
  assert.equal(await length(), 0)
  assert.deepEqual(await all(), [])
  assert.equal(await other.length(), 1)
})

test('a session ends with its cookie, by the server’s clock', async () => {
  const { get, set, left } = await make()
  await set('long', dataOf(HOUR))
  assert.ok((await left('long')) > HOUR - 60_000 && (await left('long')) <= HOUR)
  await set('date', { cookie: { expires: inFuture(HOUR) } })
  assert.ok((await left('date')) > HOUR - 60_000 && (await left('date')) <= HOUR)
  await set('short', dataOf(30))
  await until('it has ended', async () => (await get('short')) === null)
  await set('long', dataOf(-1))
  assert.equal(await get('long'), null)
})

test('a session whose cookie has no end lasts for the ttl', async () => {
  const { set, left, touch } = await make({ ttl: 2 * HOUR })
  const data = endless()
  await set('a', data)
  assert.ok((await left('a')) > 2 * HOUR - 60_000 && (await left('a')) <= 2 * HOUR)
  const day = await make()
  await day.set('a', data)
  assert.ok((await day.left('a')) > 23 * HOUR && (await day.left('a')) <= 24 * HOUR)
  await day.set('without a cookie', { data: 1 })
  assert.deepEqual(await day.get('without a cookie'), { data: 1 })
  await touch('a', data)
  assert.ok((await left('a')) > 2 * HOUR - 60_000)
})

test('touch sets the end, and the cookie that is read has it', async () => {
  const { get, set, touch, left, db, keyPrefix } = await make()
  await set('a', dataOf(60_000, { user: 'Ada' }))
  const row = async () =>
    (await db.query('SELECT value FROM go_goscope_sessions WHERE key = $1', [`${keyPrefix}a`]))[0].value
  const stored = await row()
  await touch('a', dataOf(HOUR, { user: 'not stored' }))
  assert.ok((await left('a')) > 60_000)
  assert.deepEqual(await row(), stored)
  const read = await get('a')
  assert.equal(read.user, 'Ada')
  // By the first end, this would be a session of less than a minute.
  await set('a', read)
  assert.ok((await left('a')) > 60_000)
  await touch('a', dataOf(-1))
  assert.equal(await get('a'), null)
})

test('touch does not bring back a session that was destroyed', async () => {
  const { get, set, touch, destroy, keyPrefix } = await make()
  await touch('missing', dataOf(HOUR))
  assert.equal(await get('missing'), null)
  // On another pool, so that nothing but the server orders the calls.
  const elsewhere = await make({ keyPrefix }, (await database).pool())
  for (let round = 0; round < 50; round++) {
    await set('a', dataOf(HOUR))
    await Promise.all([elsewhere.touch('a', dataOf(HOUR)), destroy('a'), touch('a', dataOf(HOUR))])
    assert.equal(await get('a'), null)
  }
})

test('touch ends if the session holds a number that JavaScript cannot: it never compares as equal', async () => {
  const { db, keyPrefix, store, left, get, set, touch } = await make()
  await set('s', dataOf(HOUR))
  await db.query(
    "UPDATE go_goscope_sessions SET value = jsonb_set(value, '{account}', '12345678901234567890') WHERE key = $1",
    [`${keyPrefix}s`],
  )
  const changed = store.createSession({ sessionStore: store, sessionID: 's' }, await get('s'))
  changed.cookie.path = '/app'
  changed.cookie.maxAge = 2 * HOUR
  await inTime('touch', touch('s', changed))
  assert.ok((await left('s')) > HOUR, 'the session lasts as long as its cookie')
})

test('a cookie that the application has changed is stored by touch, and no data is lost', async () => {
  const { get, set, store, left, keyPrefix } = await make()
  const elsewhere = await make({ keyPrefix }, (await database).pool())
  for (let round = 0; round < 30; round++) {
    await set('a', dataOf(60_000, { count: 0 }))
    const loaded = await promisify(store.load.bind(store))('a')
    loaded.cookie.maxAge = HOUR
    const touched = promisify(store.touch.bind(store))('a', loaded)
    // Of another request, at the same time.
    const saved = elsewhere.set('a', dataOf(60_000, { count: 1 }))
    await Promise.all([touched, saved])
    assert.equal((await get('a')).count, 1)
  }
  await set('b', dataOf(60_000, { count: 0 }))
  const loaded = await promisify(store.load.bind(store))('b')
  loaded.cookie.maxAge = HOUR
  await promisify(store.touch.bind(store))('b', loaded)
  assert.ok(Math.abs((await get('b')).cookie.originalMaxAge - HOUR) < 1_000)
  assert.ok((await left('b')) > 60_000)
  // The next request has the new age.
  const again = await promisify(store.load.bind(store))('b')
  assert.ok(Math.abs(again.cookie.maxAge - HOUR) < 60_000)
})

test('requests of several servers share sessions', async () => {
  const db = await database
  const keyPrefix = 'servers:'
  /** @type {Parameters<typeof serveSessions>[1]} */
  const handlers = {
    '/count': ({ session }, end) => end((session.count = (session.count ?? 0) + 1)),
    '/id': ({ sessionID }, end) => end(sessionID),
    '/login': (request, end) =>
      request.session.regenerate((/** @type {any} */ error) => {
        request.session.user = 'ada'
        request.session.save((/** @type {any} */ failed) =>
          end({ error: error ?? failed ?? null, user: request.session.user }),
        )
      }),
    '/user': ({ session }, end) => end(session.user ?? null),
    '/reload': ({ session }, end) => {
      session.count = 'not saved'
      session.reload((/** @type {any} */ error) => end(error ? String(error) : null))
    },
    '/logout': ({ session }, end) => session.destroy((/** @type {any} */ error) => end(error ?? 'out')),
    '/nothing': (_, end) => end('nothing'),
    '/remember': ({ session }, end) => end((session.cookie.maxAge = 30 * HOUR)),
    '/age': ({ session }, end) => end(Math.round(session.cookie.originalMaxAge / HOUR)),
  }
  const servers = await Promise.all(
    [0, 1].map(() =>
      serveSessions(new SessionStore(db.plain, { keyPrefix }), handlers, { cookie: { maxAge: HOUR }, rolling: true }),
    ),
  )
  const [one, other] = servers
  const browser = new Browser()
  assert.equal((await browser.get(`${one}/nothing`)).setCookie, null)
  assert.equal((await browser.get(`${one}/count`)).body, '1')
  assert.equal((await browser.get(`${other}/count`)).body, '2')
  assert.equal((await browser.get(`${one}/reload`)).body, 'null')
  assert.equal((await browser.get(`${one}/count`)).body, '3')
  const { body: before } = await browser.get(`${one}/id`)
  const anonymous = browser.cookie
  assert.deepEqual(JSON.parse((await browser.get(`${other}/login`)).body), { error: null, user: 'ada' })
  assert.notEqual((await browser.get(`${one}/id`)).body, before)
  assert.equal((await browser.get(`${one}/user`)).body, '"ada"')
  assert.equal((await browser.get(`${one}/remember`)).status, 200)
  assert.equal((await browser.get(`${other}/age`)).body, '30')
  const old = new Browser()
  old.cookie = anonymous
  assert.equal((await old.get(`${one}/user`)).body, 'null')
  const another = new Browser()
  another.cookie = browser.cookie
  assert.equal((await browser.get(`${one}/logout`)).body, '"out"')
  assert.equal((await another.get(`${other}/user`)).body, 'null')
})

test('concurrent requests of one session do not disturb each other’s sessions', async () => {
  const { store } = await make()
  const url = await serveSessions(store, { '/': ({ session }, end) => end((session.count = (session.count ?? 0) + 1)) })
  const counts = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const browser = new Browser()
      const bodies = []
      for (let request = 0; request < 5; request++) bodies.push((await browser.get(url)).body)
      return bodies
    }),
  )
  for (const bodies of counts) assert.deepEqual(bodies, ['1', '2', '3', '4', '5'])
})

test('failures reach the callbacks, and the application', async () => {
  const store = new SessionStore(REFUSING)
  const data = dataOf(HOUR)
  const calls = { get: ['a'], set: ['a', data], destroy: ['a'], touch: ['a', data], all: [], length: [], clear: [] }
  assert.deepEqual(Object.keys(calls), METHODS)
  for (const [name, given] of Object.entries(calls)) {
    await assert.rejects(promisify(store[name].bind(store))(...given), { code: 'ECONNREFUSED' }, name)
  }
  const cycle = /** @type {any} */ ({ ...data })
  cycle.self = cycle
  await assert.rejects(promisify(store.set.bind(store))('a', cycle), TypeError)
  for (const method of ['set', 'touch']) {
    const invalid = promisify(store[method].bind(store))('a', { cookie: { expires: new Date('no date') } })
    await assert.rejects(invalid, { code: 'ERR_OUT_OF_RANGE' }, method)
  }
  const url = await serveSessions(store, {})
  const browser = new Browser()
  const signature = crypto.createHmac('sha256', 's').update('a').digest('base64').replace(/=+$/, '')
  browser.cookie = `connect.sid=${encodeURIComponent(`s:a.${signature}`)}`
  assert.deepEqual(await browser.get(url), { status: 500, body: 'ECONNREFUSED', setCookie: null })
  await store.close()
})

test('a failure without a callback is an event, or else a warning', async () => {
  const listened = new SessionStore(REFUSING)
  const error = new Promise((resolve) => listened.once('error', resolve))
  listened.destroy('a')
  assert.equal(/** @type {any} */ (await error).code, 'ECONNREFUSED')
  const store = new SessionStore(REFUSING)
  const warning = new Promise((resolve) => process.once('warning', resolve))
  store.destroy('a')
  assert.equal(/** @type {any} */ (await warning).code, 'ECONNREFUSED')
  await Promise.all([listened.close(), store.close()])
})

test('what a callback throws is an uncaught exception, as with other stores', async () => {
  const code = `
    const { sessionStoreOn } = require('./lib/integrations/session-store.js')
    const store = new (sessionStoreOn(class {}))({ getEntry: async () => null })
    process.on('unhandledRejection', () => console.log('rejection'))
    process.on('uncaughtException', ({ message }) => console.log(message))
    store.get('a', () => { throw new Error('of the callback') })`
  const { output } = await run(process.execPath, ['-e', code], { cwd: path.join(__dirname, '../..') })
  assert.equal(output, 'of the callback\n')
})

test('a store on an adapter keeps its sessions in the adapter’s cache', async () => {
  const adapter = new PostgresAdapter((await database).plain, { keyPrefix: 'shop:' })
  const store = new SessionStore(adapter)
  await promisify(store.set.bind(store))('a', dataOf(HOUR))
  assert.deepEqual(await adapter.keys(), ['sess:a'])
})

test('close ends what the store has opened, and nothing that was given', async () => {
  await assertEndsItsOwn(await database, (source) => {
    const store = new SessionStore(source)
    return { use: () => promisify(store.get.bind(store))('a'), close: () => store.close() }
  })
})

test('bad options are refused', () => {
  assertRefusesOptions((...given) => new SessionStore(...given))
  for (const ttl of [0, -1, Infinity, Number.NaN]) {
    assert.throws(() => new SessionStore(REFUSING, { ttl }), { code: 'ERR_OUT_OF_RANGE', message: /options\.ttl/ })
  }
})

test('the types of express-session accept the store', async () => {
  await compile(installed.consumer, 'integrations/types/express-session.ts')
})
