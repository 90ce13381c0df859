// @ts-check
// @configurations last
// @without first: it installs NestJS, twice
// @package packed
// The module for NestJS, as npm installs it: applications in TypeScript and in plain JavaScript, and how they shut down.
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { Consumer, PG, applicationEnv, tarball } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const root = path.join(__dirname, '../..')
const nest = (/** @type {string} */ version, /** @type {string} */ terminus) => [
  ...['common', 'core', 'platform-express'].map((name) => `@nestjs/${name}@${version}`),
  `@nestjs/terminus@${terminus}`,
  ...['reflect-metadata@0.2.2', 'rxjs@7.8.2', '@types/node@20.19.25', '@types/express@5.0.6', PG],
]
const VERSIONS = [
  { name: 'Nest 12', specs: nest('12.5.1', '12.1.0') },
  { name: 'Nest 11', specs: nest('11.2.10', '11.1.1') },
]

const database = useDatabase()

/** @type {Map<string, Promise<Consumer>>} */
const applications = new Map()

/** @param {typeof VERSIONS[number]} version */
function applicationOn({ name, specs }) {
  const made = applications.get(name) ?? makeApplication(specs)
  applications.set(name, made)
  return made
}

/** @param {string[]} specs */
async function makeApplication(specs) {
  const application = new Consumer({ type: 'module' })
  await application.install([await tarball(), ...specs])
  fs.cpSync(path.join(__dirname, 'suites/nestjs'), application.folder, { recursive: true })
  const compilerOptions = {
    ...{ target: 'es2023', module: 'nodenext', types: ['node'], strict: true, skipLibCheck: true },
    ...{ experimentalDecorators: true, emitDecoratorMetadata: true, exactOptionalPropertyTypes: true },
  }
  application.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['app.ts'] }))
  await application.succeed([path.join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'])
  return application
}

/**
 * Starts the application in TypeScript.
 *
 * @param {Consumer} application
 * @param {string} url
 * @param {string} keyPrefix
 */
async function start(application, url, keyPrefix) {
  const child = spawn(process.execPath, ['app.js'], {
    cwd: application.folder,
    env: { ...applicationEnv(), APP_DATABASE_URL: url, APP_PREFIX: keyPrefix },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  after(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  /** @type {string[]} */
  const lines = []
  const output = readline.createInterface({ input: child.stdout })
  output.on('line', (line) => lines.push(line))
  await Promise.race([once(output, 'line'), ended])
  const [, address] = /^listening on (.*)$/.exec(lines[0] ?? '') ?? []
  assert.ok(address, lines.join('\n'))
  return { child, ended, lines, get: (/** @type {string} */ page) => fetch(`${address}/${page}`) }
}

for (const version of VERSIONS) {
  test(`${version.name}: SIGTERM ends a process that holds a lock and waits for another, and leaves nothing`, async () => {
    const db = await database
    const keyPrefix = `${version.name}:`
    const application = await applicationOn(version)
    const outside = new PostgresAdapter(db.pool(), { keyPrefix })
    const taken = await outside.lock('taken', { ttl: 600_000 })
    const { child, ended, lines, get } = await start(application, db.url, keyPrefix)
    assert.notEqual(await outside.holder('reports'), null)
    assert.deepEqual(await (await get('visits')).json(), { visits: 1 })
    assert.equal((await db.query('SELECT 1 FROM nest_cache WHERE starts_with(key, $1)', [keyPrefix])).length, 1)

    child.kill('SIGTERM')
    const [code, signal] = await ended
    assert.deepEqual([code, signal], [null, 'SIGTERM'])
    assert.equal(await outside.holder('reports'), null)
    // The adapters were open until the application's own hooks had run.
    assert.equal(await outside.get('destroyed'), true)
    assert.deepEqual(lines.slice(1), ['refused: ERR_ADAPTER_CLOSED'])
    await until('its connections are closed', async () => {
      return (await db.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'nest'")).length === 0
    })
    await taken.release()
    await outside.close()
  })

  test(`${version.name}: the health check of Terminus follows the server`, async () => {
    const db = await database
    const proxy = await startProxy(db.url)
    const { child, ended, get } = await start(await applicationOn(version), proxy.url, `health of ${version.name}:`)
    const health = async () => {
      const response = await get('health')
      const { details } = /** @type {any} */ (await response.json())
      return { status: response.status, ...details.database }
    }
    assert.deepEqual(await health(), { status: 'up' })
    proxy.refuse()
    proxy.cutAll()
    const { status, message } = await health()
    assert.deepEqual([status, typeof message], ['down', 'string'])
    proxy.refuse(false)
    assert.equal((await get('health')).status, 200)
    child.kill('SIGTERM')
    await ended
  })

  test(`${version.name}: in plain JavaScript, two modules, and a pool that stays open`, async () => {
    const application = await applicationOn(version)
    const db = await database
    // Of the version before.
    await db.query('DROP TABLE IF EXISTS cache, go_goscope_idempotency')
    const env = { APP_DATABASE_URL: db.url }
    const lines = (await application.succeed(['plain.mjs'], { env })).trim().split('\n')
    assert.deepEqual(lines, [
      'tables of those with options: 1',
      'values: 1 2 3 null',
      'health: {"postgres":{"status":"up"}}',
      ...['ERR_ADAPTER_CLOSED', 'ERR_ADAPTER_CLOSED', 'ERR_ADAPTER_CLOSED', 'ERR_ADAPTER_CLOSED'],
      'health: {"database":{"status":"down","message":"Cannot use an adapter after calling close on it","code":"ERR_ADAPTER_CLOSED"}}',
      'pool: 1',
    ])
  })
}

test('a start without a server fails, and the process ends', async () => {
  const application = await applicationOn(/** @type {any} */ (VERSIONS[0]))
  const { code, output } = await application.run(['plain.mjs'], {
    env: { APP_DATABASE_URL: 'postgres://127.0.0.1:1/none' },
  })
  assert.equal(code, 1)
  assert.match(output, /ECONNREFUSED/)
})

test('wrong options are refused by name', async () => {
  const { GoscopePostgresHealth, GoscopePostgresModule } = require('goscope-postgres/nestjs')
  assert.throws(() => GoscopePostgresModule.forRootAsync(/** @type {any} */ ({})), { code: 'ERR_INVALID_ARG_TYPE' })
  for (const wrong of ['postgresql://db.example/shop', 5]) {
    assert.throws(() => GoscopePostgresModule.forRoot(/** @type {any} */ (wrong)), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  assert.ok(GoscopePostgresModule.forRoot(/** @type {any} */ (null)), 'as good as absent')
  const adapter = new PostgresAdapter('postgres://nobody@127.0.0.1:1/none')
  const health = new GoscopePostgresHealth(adapter)
  await assert.rejects(health.pingCheck('k', { timeout: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  const { k } = await health.pingCheck('k', { timeout: 60_000 })
  assert.deepEqual(k, { status: 'down', message: 'connect ECONNREFUSED 127.0.0.1:1', code: 'ECONNREFUSED' })
  await adapter.close()
})
