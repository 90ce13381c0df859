// @ts-check
// @configurations first
// The server of `goscope-postgres ui`: how it starts and ends, and what it refuses.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { before, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { temporaryFolder } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { Page, startPage } = require('../support/ui.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const hasIPv6 = Object.values(os.networkInterfaces()).some((all = []) => all.some(({ address }) => address === '::1'))

/** @type {{ DATABASE_URL: string }} */
let env

before(async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ connectionString: db.ownUrl }))
  await adapter.connect()
  env = { DATABASE_URL: db.ownUrl }
})

test('it prints an address on loopback, which needs no token to read, and ends with Ctrl-C', async () => {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    const { command, printed, page } = await startPage([], env)
    assert.match(printed, /^http:\/\/127\.0\.0\.1:\d+\/$/)
    const { status, text } = await page.ask('/')
    assert.equal(status, 200)
    assert.match(text, /<title>goscope-postgres<\/title>/)
    const stream = page.look('locks')
    await until('there are rows', () => stream.last('locks') !== undefined)
    command.child.kill(signal)
    const ended = await command.ended
    assert.deepEqual([ended.code, ended.signal, ended.stderr], [0, null, 'Ctrl-C ends it.\n'])
    await until('the stream has ended', () => stream.isOver())
  }
})

test('it ends with Ctrl-C also while the database does not answer', async () => {
  const proxy = await startProxy(env.DATABASE_URL)
  const { command, page } = await startPage([], { DATABASE_URL: proxy.url })
  const stream = page.look('locks')
  await until('there are rows', () => stream.last('locks') !== undefined)
  proxy.swallow()
  await until('a read waits', () => stream.last('locks').failure?.kind === 'unreachable')
  command.child.kill('SIGINT')
  const { code, signal } = await inTime('the end', command.ended)
  assert.deepEqual([code, signal], [0, null])
  await proxy.stop()
})

for (const [args, message] of /** @type {[string[], RegExp][]} */ ([
  [['--port', '70000'], /--port must be a whole number from 0 to 65535/],
  [['--metrics', 'localhost:9464'], /--metrics must be a URL of http or https, and is 'localhost:9464'/],
  [['--metrics', 'file:///etc/passwd'], /--metrics must be a URL/],
  [['--metrics', 'http://me:100%@localhost:9464'], /in --metrics of localhost:9464, a % .* must be written as %25/],
  [['--metrics', 'ftp://me:geheim@localhost/x?key=geheim'], /, and is '…@localhost\/x'/],
  [['--metrics', 'me:geheim@localhost'], /, and is '…@localhost'/],
  [['--metrics', 'http://me:ge@heim@127.0.0.1:99999'], /, and is '…@127\.0\.0\.1:99999'/],
  [['--port', '-1'], /--port must be a whole number from 0 to 65535, and is '-1'/],
  [['--host', ''], /--host must not be empty/],
  [['--table', 'a.b.c'], /must be an identifier or schema\.identifier/],
  [['a'], /ui takes no argument/],
])) {
  test(`wrong usage, exit code 2: ui ${args.join(' ')}`, async () => {
    const { code, stdout, stderr } = await runCommand(['ui', ...args], env)
    assert.deepEqual([code, stdout], [2, ''], stderr)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /geheim|heim@/)
  })
}

test('exit code 3 if the server cannot be reached, 1 if the port is taken', async () => {
  const unreachable = await runCommand(['ui', '--url', 'postgres://nobody@127.0.0.1:1/none'])
  assert.deepEqual([unreachable.code, unreachable.stdout], [3, ''])
  const { page } = await startPage([], env)
  const taken = await runCommand(['ui', '--port', new URL(page.origin).port], env)
  assert.equal(taken.code, 1)
  assert.match(taken.stderr, /could not be served: .*EADDRINUSE.*\n {2}Another program listens there/)
})

const HEADERS = /** @type {[string, RegExp][]} */ ([
  ['content-security-policy', /^default-src 'none'; script-src 'self'; style-src 'self'; .*frame-ancestors 'none'/],
  ['content-security-policy', /require-trusted-types-for 'script'/],
  ['x-content-type-options', /^nosniff$/],
  ['x-frame-options', /^DENY$/],
  ['referrer-policy', /^no-referrer$/],
  ['cross-origin-resource-policy', /^same-origin$/],
  ['cache-control', /^no-store$/],
])

test('each answer has the headers that protect the page', async () => {
  const { page } = await startPage([], env)
  const asked = [
    page.ask('/'),
    page.ask('/assets/main.mjs'),
    page.ask('/api/session'),
    page.ask('/api/rows?view=locks'),
    page.ask('/nothing'),
    page.ask('/', { method: 'PUT' }),
    page.ask('/', { headers: { host: 'other.example' } }),
  ]
  for (const { headers } of await Promise.all(asked)) {
    for (const [name, wanted] of HEADERS) assert.match(String(headers[name]), wanted)
    assert.equal(headers['access-control-allow-origin'], undefined)
    assert.doesNotMatch(String(headers['content-security-policy']), /unsafe|\*|http/)
  }
})

test('the page loads nothing from elsewhere, and has no script or style within its HTML', async () => {
  const { page } = await startPage([], env)
  const { text } = await page.ask('/')
  assert.doesNotMatch(text, /https?:|\son\w+=|\sstyle=|<style|javascript:/)
  for (const [, attributes, content] of text.matchAll(/<script([^>]*)>([^<]*)/g)) {
    assert.match(attributes, / src="\/assets\//)
    assert.equal(content, '')
  }
  const assets = [...text.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, address]) => address)
  assert.ok(assets.length >= 5)
  for (const address of assets) assert.equal((await page.ask(address)).status, 200, address)
})

test('only the names of this server are answered: another name may lead here from another site', async () => {
  const { page } = await startPage([], env)
  const { port } = new URL(page.origin)
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
    assert.equal((await page.ask('/api/session', { headers: { host } })).status, 200, host)
  }
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    'localhost',
    '127.0.0.1:1',
    `localhost.evil.example:${port}`,
  ]) {
    const { status, text } = await page.ask('/api/session', { headers: { host } })
    assert.equal(status, 421, host)
    assert.doesNotMatch(text, /database|role/)
  }
})

test('pages of other sites are refused, but for a link to the page', async () => {
  const { page } = await startPage([], env)
  const status = async (/** @type {Record<string, string>} */ headers, address = '/api/rows?view=locks') =>
    (await page.ask(address, { headers })).status
  assert.equal(await status({ 'sec-fetch-site': 'same-origin' }), 200)
  assert.equal(await status({ 'sec-fetch-site': 'none' }), 200)
  for (const site of ['cross-site', 'same-site']) {
    assert.equal(await status({ 'sec-fetch-site': site }), 403)
    assert.equal(
      await status(
        { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
        '/assets/main.mjs',
      ),
      403,
    )
    const link = { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    assert.equal(await status(link, '/'), 200)
  }
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1'])
    assert.equal(await status({ origin }), 403)
  assert.equal(await status({ origin: page.origin }), 200)
})

test('only reading methods are answered, and only the files of the page', async () => {
  const { page } = await startPage([], env)
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const { status, headers } = await page.ask('/api/rows?view=locks', { method })
    assert.deepEqual([status, headers.allow], [405, 'GET'], method)
  }
  assert.equal((await page.ask('/', { method: 'HEAD' })).text, '')
  const paths = ['/../server.js', '/assets/../server.js', '/assets/%2e%2e/server.js', '/assets/..%2fserver.js']
  for (const each of [
    ...paths,
    '//etc/passwd',
    '/assets/',
    '/assets/units.d.mts',
    '/package.json',
    '/assets/constructor',
  ]) {
    assert.equal((await page.ask(each)).status, 404, each)
  }
  assert.equal((await page.ask('/api/nothing')).status, 404)
  assert.equal((await page.ask('http://[')).status, 400)
})

test('a page that only reads makes no changes, and shows none', async () => {
  const { page } = await startPage([], env)
  assert.equal((await page.ask('/api/session')).json().changeToken, null)
  const { failure } = await page.preview({ kind: 'release', storedKey: 'lock:k' })
  assert.match(failure.message, /only reads/)
  assert.equal((await page.change({ kind: 'release', storedKey: 'lock:k', seen: [] })).status, 403)
})

test('a token in the address becomes a cookie of this browser, and leaves the address', async () => {
  for (const args of [['--token'], ['--allow-changes'], ['--host', '0.0.0.0']]) {
    const { printed, token, page } = await startPage(args, env)
    assert.match(String(token), /^[\w-]{32}$/)
    assert.match(printed, /^http:\/\/127\.0\.0\.1:\d+\/\?token=/)
    assert.equal((await page.ask('/api/session')).status, 200)
    const stranger = new Page(page.origin)
    for (const address of ['/', '/assets/main.mjs', '/api/session', '/api/events?view=locks']) {
      const { status, text } = await stranger.ask(address)
      assert.deepEqual([status, /token/.test(text)], [401, true], address)
    }
    const wrong = await stranger.signIn('a'.repeat(32))
    assert.deepEqual([wrong.status, wrong.headers['set-cookie']], [403, undefined])
    const right = await stranger.signIn(String(token))
    assert.deepEqual([right.status, right.headers.location], [303, '/'])
    assert.match(
      String(right.headers['set-cookie']),
      /^goscope-postgres-\d+=[\w-]{32}; Path=\/; HttpOnly; SameSite=Strict$/,
    )
    assert.equal((await stranger.ask('/api/session')).status, 200)
    assert.ok(!String(right.headers['set-cookie']).includes(String(token)))
  }
})

for (const [host, printed, address] of [
  ['127.1', '127.0.0.1', '127.0.0.1'],
  ['0', '127.0.0.1', '127.0.0.1'],
  ['0:0:0:0:0:0:0:1', '[::1]', '::1'],
  ['::0', '[::1]', '::1'],
  ['::ffff:127.0.0.1', '[::ffff:7f00:1]', '127.0.0.1'],
]) {
  const skip = address === '::1' && !hasIPv6 ? 'this machine has no IPv6' : false
  test(`--host ${host}: what is printed is an address that works`, { skip }, async () => {
    const started = await startPage(['--host', host], env)
    const url = new URL(started.printed)
    assert.equal(url.hostname, printed)
    assert.equal(started.printed.split('?')[0], `http://${printed}:${url.port}/`)
    const at = new Page(`http://${address.includes(':') ? `[${address}]` : address}:${url.port}`)
    const { status } = await at.ask(`/${url.search}`, { headers: { host: url.host } })
    // Only this machine reaches loopback, so that needs no token.
    assert.equal(status, url.search === '' ? 200 : 303)
    assert.equal(url.search === '', ['127.1', '0:0:0:0:0:0:0:1'].includes(host))
  })
}

test('a refusal of another name or origin says what to do', async () => {
  const { page } = await startPage([], env)
  const { host, port } = new URL(page.origin)
  for (const headers of /** @type {Record<string, string>[]} */ ([
    { host: 'localhost:9000' },
    { origin: 'https://ui.example.com' },
  ])) {
    const { text } = await page.ask('/api/session', { headers })
    assert.ok(text.includes(`Open http://${host}/.`) && text.includes(`ssh -L ${port}:${host} `), text)
  }
  // As a proxy must send it.
  assert.equal((await page.ask('/api/session', { headers: { host, origin: page.origin } })).status, 200)
})

test('on all interfaces it answers to the addresses of this machine, and to no other name', async () => {
  const { page, token } = await startPage(['--host', '0.0.0.0'], env)
  const { port } = new URL(page.origin)
  const own = Object.values(os.networkInterfaces()).flatMap((all = []) => all.filter(({ family }) => family === 'IPv4'))
  for (const { address } of own) {
    assert.equal((await page.ask(`/?token=${token}`, { headers: { host: `${address}:${port}` } })).status, 303, address)
  }
  assert.equal((await page.ask(`/?token=${token}`, { headers: { host: `evil.example:${port}` } })).status, 421)
})

test('--open opens the page, with a token that lets in one browser', {
  skip: process.platform !== 'linux',
}, async () => {
  const folder = temporaryFolder()
  const opened = path.join(folder, 'opened')
  const program = path.join(folder, 'xdg-open')
  fs.writeFileSync(program, `#!/bin/sh\nprintf %s "$1" > ${opened}.new && mv ${opened}.new ${opened}\n`, {
    mode: 0o755,
  })
  const PATH = `${folder}${path.delimiter}${process.env.PATH}`
  const { page, token } = await startPage(['--open', '--allow-changes'], { ...env, PATH })
  await until('the browser is opened', () => fs.existsSync(opened))
  const url = new URL(fs.readFileSync(opened, 'utf8'))
  assert.equal(url.origin, page.origin)
  const once = String(url.searchParams.get('token'))
  assert.notEqual(once, token)
  assert.equal((await new Page(page.origin).signIn(once)).status, 303)
  assert.equal((await new Page(page.origin).signIn(once)).status, 403)
})

test('if there is no browser to open, it says so and goes on', { skip: process.platform !== 'linux' }, async () => {
  const { command, page } = await startPage(['--open'], { ...env, PATH: temporaryFolder() })
  await until('it says so', () => /No browser could be opened/.test(command.output.stderr))
  assert.equal((await page.ask('/')).status, 200)
})

test('the password is in no answer', async () => {
  const url = new URL(env.DATABASE_URL)
  const { command, page } = await startPage([], env)
  for (const address of ['/api/session', '/api/rows?view=locks']) {
    assert.ok(!(await page.ask(address)).text.includes(url.password || 'no password'), address)
  }
  const stream = page.look('connections')
  await until('the checks are there', () => stream.last('checks') !== undefined)
  assert.ok(stream.last('checks').checks.length > 10)
  assert.ok(!JSON.stringify(stream.events).includes(url.password || 'no password'))
  stream.close()
  assert.ok(!command.output.stderr.includes(url.password || 'no password'))
})
