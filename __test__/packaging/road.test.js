// @ts-check
// The road from the build to an application: published to a registry by the release's scripts, and installed from there
// by each package manager, on each Node, where there is a Node on the PATH and nothing that could build anything.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { APPS, Consumer, PG, applicationEnv, run, succeed, temporaryFolder } = require('../helpers/consumer.js')
const { useDatabase } = require('../helpers/database.js')
const { PACKAGE_MANAGERS, onlyNode } = require('../helpers/package-managers.js')
const { publishedRegistry } = require('../helpers/registry.js')
const { released } = require('../helpers/released.js')
const { NODES, missing, node } = require('../helpers/runtimes.js')
const { version } = require('../../package.json')

/** The tests of what the methods promise that need neither the sources nor much time. */
const CONTRACT = ['locks', 'circuits', 'cache', 'checkpoints', 'idempotency', 'errors']

const tests = path.join(__dirname, '..')
const database = useDatabase()
/** @type {Awaited<ReturnType<typeof publishedRegistry>>} */
let registry
/** @type {string} */
let platform

before(async () => {
  if (missing) return
  registry = await publishedRegistry()
  platform = (await released()).platform
})

/**
 * An application in a clean folder, of a user who has nothing else.
 *
 * @param {import('../helpers/package-managers.js').PackageManager} manager
 * @param {string} runtime
 */
async function install(manager, runtime) {
  const application = new Consumer()
  fs.cpSync(path.join(APPS, 'plain'), application.folder, { recursive: true })
  for (const [file, content] of Object.entries(manager.files(registry.url))) application.write(file, content)
  const home = temporaryFolder()
  const env = { ...applicationEnv(), HOME: home, PATH: onlyNode(temporaryFolder(), runtime), CI: '1' }
  const cwd = application.folder
  const execute = (/** @type {string[]} */ args, more = {}) =>
    succeed(run(runtime, args, { cwd, env: { ...env, ...more } }), `${manager.name}: ${args.join(' ')}`)
  await execute([manager.program(), ...manager.add, 'goscope-postgres', PG])
  const node = manager.execute ? [manager.program(), ...manager.execute] : []
  return {
    application,
    node: (/** @type {string[]} */ args, /** @type {NodeJS.ProcessEnv} */ more) => execute([...node, ...args], more),
  }
}

const SHOW = `
  const { buildInfo } = require('goscope-postgres')
  const addons = process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node'))
  console.log(JSON.stringify({ ...buildInfo, addons, path: process.env.PATH }))`

for (const runtime of NODES) {
  for (const manager of PACKAGE_MANAGERS) {
    test(`node ${runtime}, ${manager.name}`, { skip: missing }, async () => {
      const { application, node: inNode } = await install(manager, node(runtime))
      const shown = JSON.parse(await inNode(['-e', SHOW], {}))
      assert.equal(shown.version, version)
      assert.deepEqual(shown.features, [])
      assert.equal(shown.addons.length, 1)
      assert.ok(shown.addons[0].startsWith(application.folder), shown.addons[0])
      assert.match(shown.addons[0], new RegExp(`goscope-postgres-${platform}.*goscope-postgres\\.${platform}\\.node$`))
      const env = { APP_DATABASE_URL: (await database).url }
      for (const main of ['main.cjs', 'main.mjs']) {
        assert.match(await inNode([main], env), new RegExp(`^worked with .* in node ${runtime}$`, 'm'))
      }
    })
  }

  test(`node ${runtime}: the examples, and what the methods promise`, { skip: missing }, async () => {
    const [npm] = PACKAGE_MANAGERS
    assert.ok(npm)
    const { application, node: inNode } = await install(npm, node(runtime))
    const others = fs
      .readdirSync(application.path('node_modules'))
      .filter((name) => name.startsWith('goscope-postgres-'))
    assert.deepEqual(others, [`goscope-postgres-${platform}`], "no other platform's package is installed")

    fs.cpSync(path.join(tests, '../examples/demo'), application.path('examples/demo'), { recursive: true })
    const { url } = await database
    assert.match(await inNode(['examples/demo/main.js'], { DATABASE_URL: url }), /^all \d+ claims held/m)

    for (const folder of ['contract', 'helpers', 'reference']) {
      fs.cpSync(path.join(tests, folder), application.path('__test__', folder), { recursive: true })
    }
    const files = CONTRACT.map((name) => `__test__/contract/${name}.test.js`)
    const given = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('GOSCOPE_TEST_')))
    const output = await inNode(['--test', '--test-reporter=tap', ...files], given)
    assert.ok(Number(/^# pass (\d+)$/m.exec(output)?.[1]) > 50, output)
  })
}

test('what is published is not published again', { skip: missing }, async () => {
  const output = await registry.again()
  assert.equal(output.match(/ is published already$/gm)?.length, 9)
})
