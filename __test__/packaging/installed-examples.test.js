// @ts-check
// @configurations last
// @without first: the examples as installed; here they run where they are
// @package published
// The examples, with the package installed from a registry, on each Node version.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { useDatabase } = require('../support/database.js')
const { installed, managersOf } = require('../support/package-managers.js')
const { publishedRegistry } = require('../support/registry.js')
const { released } = require('../support/released.js')
const { NODES, missing, node } = require('../support/runtimes.js')
const { variants } = require('../support/variants.js')

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

for (const runtime of variants(NODES)) {
  test(`node ${runtime}`, { skip: missing }, async (t) => {
    const [npm] = managersOf(runtime)
    assert.ok(npm)
    const { application, node: inNode } = await installed(registry.url, npm, node(runtime))

    await t.test("no other platform's package is installed", () => {
      const packages = fs.readdirSync(application.path('node_modules'))
      const platforms = packages.filter((name) => name.startsWith('goscope-postgres-'))
      assert.deepEqual(platforms, [`goscope-postgres-${platform}`])
    })

    await t.test('the demo', async () => {
      fs.cpSync(path.join(tests, '../examples/demo'), application.path('examples/demo'), { recursive: true })
      const { url } = await database
      assert.match(await inNode(['examples/demo/main.js'], { DATABASE_URL: url }), /^all \d+ claims held/m)
    })
  })
}
