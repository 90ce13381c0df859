// @ts-check
// @configurations last
// @without first: an application that gets this package under the name of the pg-based one
// @package packed
// A TypeScript application of @go-go-scope/persistence-postgres that names no other package. It gets this package under
// that name, with the command of docs/from-pg-adapter.md, and none of its files changes.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { before, test } = require('node:test')
const { Consumer, PG, tarball } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')

const SOURCES = path.join(__dirname, 'apps/alias')
const ALIAS = '@go-go-scope/persistence-postgres@npm:goscope-postgres'

const manifest = JSON.parse(fs.readFileSync(path.join(__dirname, '../../package.json'), 'utf8'))

const database = useDatabase()
const application = new Consumer({ type: 'module' })

before(async () => {
  fs.cpSync(SOURCES, application.folder, { recursive: true })
  // What the package depends on, too: the registry below has the package alone.
  const dependencies = Object.entries(manifest.dependencies).map(([name, range]) => `${name}@${range}`)
  await application.install([PG, ...dependencies, '@types/pg@8.23.1', '@types/node@26.6.6', 'typescript@5.9.3'])
  // An alias names a package of a registry. This one is not in a registry yet, so a registry with only it stands in.
  const registry = await serve(await tarball())
  try {
    await application.install([ALIAS], [`--registry=${registry.url}`])
  } finally {
    registry.stop()
  }
})

/** @param {string} file the one package that there is */
async function serve(file) {
  const content = fs.readFileSync(file)
  const integrity = `sha512-${crypto.createHash('sha512').update(content).digest('base64')}`
  const { name, version } = manifest
  let url = ''
  const server = http.createServer((request, response) => {
    if (request.url === `/${name}.tgz`) return response.end(content)
    if (request.url !== `/${name}`) return response.writeHead(404).end('{}')
    const dist = { tarball: `${url}/${name}.tgz`, integrity }
    const versions = { [version]: { ...manifest, dist } }
    response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions }))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`
  return {
    url,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

test('its sources contain only the original name', () => {
  const sources = fs.readdirSync(path.join(SOURCES, 'src')).map((file) => path.join(SOURCES, 'src', file))
  const text = sources.map((file) => fs.readFileSync(file, 'utf8')).join('')
  assert.ok(text.includes("'@go-go-scope/persistence-postgres'"))
  assert.ok(!text.includes('goscope-postgres'))
  assert.equal(fs.existsSync(application.path('node_modules/goscope-postgres')), false)
  const { dependencies } = JSON.parse(fs.readFileSync(application.path('package.json'), 'utf8'))
  assert.match(dependencies['@go-go-scope/persistence-postgres'], /^npm:goscope-postgres@/)
})

test('it compiles, fails when payments fail, and resumes at its checkpoint', async () => {
  await application.succeed(['node_modules/typescript/bin/tsc', '-p', '.'])
  const env = { APP_DATABASE_URL: (await database).url }
  const run = async (/** @type {string[]} */ args, more = {}) =>
    (await application.succeed(['dist/main.js', ...args], { env: { ...env, ...more } })).trim().split('\n')

  assert.deepEqual(await run([], { PAYMENTS_DOWN: '1' }), [
    'from 0',
    'o1 charged',
    'o2 charged',
    'stopped: payments are off after 3 failures',
  ])
  assert.deepEqual(await run([]), ['from 2', 'stopped: payments are off after 3 failures'])
  assert.deepEqual(await run(['--repaired']), [
    'from 2',
    'o3 charged',
    'o4 charged',
    'all charged',
    'prices: 2 hits, 0 misses',
  ])
  assert.deepEqual(await run([]), ['from 4', 'all charged', 'prices: 0 hits, 0 misses'])
})

test('while another process holds its lock, it leaves the work to that process', async () => {
  const db = await database
  await db.query('TRUNCATE go_goscope_checkpoints, go_goscope_idempotency')
  const { PostgresAdapter } = require('goscope-postgres')
  const other = new PostgresAdapter(db.pool(), { keyPrefix: 'shop:' })
  const lock = await other.acquire('orders', 120_000)
  assert.ok(lock)
  const run = () => application.succeed(['dist/main.js'], { env: { APP_DATABASE_URL: db.url } })
  assert.match(await run(), /^another process is at it$/m)
  await lock.release()
  assert.match(await run(), /^all charged$/m)
  await other.disconnect()
})
