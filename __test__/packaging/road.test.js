// @ts-check
// @configurations last
// @without first: the package managers
// @package published
// The steps from the build to an application: the release's scripts publish to a registry, and each package manager
// installs from it, on each Node version, with only a Node on the PATH and nothing that could build anything.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { useDatabase } = require('../support/database.js')
const { installed, managersOf } = require('../support/package-managers.js')
const { publish, publishedRegistry } = require('../support/registry.js')
const { released } = require('../support/released.js')
const { NODES, missing, node } = require('../support/runtimes.js')
const { variants } = require('../support/variants.js')
const { version } = require('../../package.json')

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

const SHOW = `
  const { buildInfo } = require('goscope-postgres')
  const addons = process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node'))
  console.log(JSON.stringify({ ...buildInfo, addons, path: process.env.PATH }))`

for (const runtime of variants(NODES)) {
  for (const manager of managersOf(runtime)) {
    test(`node ${runtime}, ${manager.name}`, { skip: missing }, async () => {
      const { application, node: inNode } = await installed(registry.url, manager, node(runtime))
      const shown = JSON.parse(await inNode(['-e', SHOW], {}))
      for (const tool of ['cargo', 'rustc', 'cc', 'gcc', 'clang', 'make', 'python3']) {
        assert.ok(!shown.path.split(':').some((/** @type {string} */ folder) => fs.existsSync(path.join(folder, tool))))
      }
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
}

test('a published version is not published again', { skip: missing }, async () => {
  const output = await publish(registry)
  assert.equal(output.match(/ is published already$/gm)?.length, 9)
})
