// @ts-check
// @configurations last
// @without first: the recipes of examples/hosts
// @package published
// The recipes of examples/hosts, with the package as it is published, each deployed to a clean folder.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { Consumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { HOSTS, folderWith, recipe } = require('../support/recipes.js')
const { publishedRegistry } = require('../support/registry.js')
const { released } = require('../support/released.js')

const database = useDatabase()
const url = async () => ({ DATABASE_URL: (await database).url })
/** @type {string} */
let registry
/** @type {string} */
let platform

before(async () => {
  registry = (await publishedRegistry()).url
  platform = (await released()).platform
})

/**
 * @param {Consumer} built
 * @param {string} bundle
 * @param {string} beside the packages installed where the bundle runs
 * @param {string} expected
 */
async function deploy(built, bundle, beside, expected) {
  const deployed = await folderWith(registry, [beside])
  fs.copyFileSync(built.path(bundle), deployed.path('app.js'))
  assert.equal(await deployed.succeed(['app.js'], { env: await url() }), `${expected}\n`)
}

test('webpack', async () => {
  const built = await recipe(registry, 'webpack', ['webpack@5.112.2', 'webpack-cli@7.3.1'])
  const output = await built.succeed(['node_modules/webpack-cli/bin/cli.js'])
  assert.match(output, /compiled successfully/)
  await deploy(built, 'dist/app.js', 'goscope-postgres', 'run 1')
})

test('esbuild', async () => {
  const built = await recipe(registry, 'esbuild', ['esbuild@0.28.2'])
  assert.equal(await built.succeed(['build.js']), '')
  await deploy(built, 'dist/app.js', 'goscope-postgres', 'run 1')
  await deploy(built, 'dist/whole.js', `goscope-postgres-${platform}`, 'run 2')
})

const zip =
  ['zip', 'unzip'].some((tool) => spawnSync(tool, ['-v']).status !== 0) &&
  'zip and unzip are not installed (Debian: apt-get install zip unzip)'

test('AWS Lambda: a zip archive, unpacked and run elsewhere', { skip: zip }, async () => {
  const [os, cpu, libc] = ['linux', process.arch, 'glibc'].map(
    (value, index) => `--${['os', 'cpu', 'libc'][index]}=${value}`,
  )
  const built = await folderWith(registry, ['goscope-postgres'], [String(os), String(cpu), String(libc)])
  fs.copyFileSync(path.join(HOSTS, 'lambda/handler.mjs'), built.path('handler.mjs'))
  const zipped = spawnSync('zip', ['-qr', 'function.zip', 'handler.mjs', 'package.json', 'node_modules'], {
    cwd: built.folder,
    encoding: 'utf8',
  })
  assert.equal(zipped.status, 0, zipped.stderr)
  const deployed = new Consumer()
  assert.equal(spawnSync('unzip', ['-qo', built.path('function.zip'), '-d', deployed.folder]).status, 0)
  fs.rmSync(built.folder, { recursive: true })
  const invoke = `
    import { handler } from './handler.mjs'
    for (const order of [1, 2]) console.log(JSON.stringify(await handler({ order })))`
  deployed.write('runtime.mjs', invoke)
  // It ends by itself: nothing keeps a frozen environment active.
  assert.deepEqual((await deployed.succeed(['runtime.mjs'], { env: await url() })).trim().split('\n'), [
    '{"statusCode":200,"body":"order 1 done"}',
    '{"statusCode":200,"body":"order 2 done"}',
  ])
})
