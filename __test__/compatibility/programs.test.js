// @ts-check
// @configurations first
// @package packed
// Plain programs and bundles that use the packed package.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { before, test } = require('node:test')
const { Consumer, PG, applicationEnv, makeConsumer, run, succeed, tarball } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
const url = async () => ({ APP_DATABASE_URL: (await database).url })

/** @type {Consumer} */
let application

before(async () => {
  application = await makeConsumer('plain', [PG, 'esbuild@0.28.2'])
})

test('the tarball contains the program files, and neither sources nor tests', () => {
  const installed = fs.readdirSync(application.path('node_modules/goscope-postgres'), { recursive: true }).map(String)
  const addons = installed.filter((file) => file.endsWith('.node'))
  assert.equal(addons.length, 1, `one addon, the one built here: ${addons}`)
  assert.deepEqual(
    installed.filter((file) => /(^|[\\/])(__test__|src|target|examples|scripts|node_modules)|\.(rs|toml)$/.test(file)),
    [],
  )
})

for (const main of ['main.cjs', 'main.mjs']) {
  test(`${main} works and ends by itself`, async () => {
    const output = await application.succeed([main], { env: await url() })
    assert.ok(output.includes(`worked with ${application.path('node_modules/goscope-postgres/index.js')}`), output)
  })
}

test('node:test', async () => {
  const output = await application.succeed(['--test', '--test-reporter=tap', 'adapters.test.mjs'], { env: await url() })
  assert.match(output, /^# pass 3$/m)
})

// Only the packages that a bundle leaves out are installed where it runs.
test('an esbuild bundle without the package', async () => {
  const deployed = new Consumer()
  await deployed.install([await tarball()])
  const bundle = deployed.path('bundle.cjs')
  const build = ['bundled.ts', '--bundle', '--platform=node', '--external:goscope-postgres', `--outfile=${bundle}`]
  await application.succeed(['node_modules/esbuild/bin/esbuild', ...build])
  assert.equal(fs.existsSync(deployed.path('node_modules/pg')), false)
  assert.match(await deployed.succeed(['bundle.cjs'], { env: await url() }), /^the bundle worked$/m)
  // The command needs no more, either.
  const { APP_DATABASE_URL: DATABASE_URL } = await url()
  const npx = (/** @type {string[]} */ ...args) => {
    const shell = process.platform === 'win32'
    const env = { ...applicationEnv(), DATABASE_URL }
    return succeed(
      run('npx', ['--no-install', 'goscope-postgres', ...args], { cwd: deployed.folder, env, shell }),
      'npx',
    )
  }
  const { tables } = JSON.parse(await npx('status', '--json'))
  assert.ok(tables.find((/** @type {any} */ { name }) => name === 'go_goscope_locks').exists)
  assert.match(await npx('schema', '--only', 'locks'), /^CREATE TABLE IF NOT EXISTS go_goscope_locks/)
  assert.match(await npx('doctor'), /^ok {4}connection: /m)
})

test('an esbuild bundle of ES modules without any package', async () => {
  const build = [
    'bundled.ts',
    '--bundle',
    '--platform=node',
    '--packages=external',
    '--external:./work.cjs',
    '--format=esm',
  ]
  await application.succeed(['node_modules/esbuild/bin/esbuild', ...build, '--outfile=bundle.mjs'])
  assert.match(await application.succeed(['bundle.mjs'], { env: await url() }), /^the bundle worked$/m)
})
