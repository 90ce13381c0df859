// @ts-check
// @configurations last
// @without first: the versions of Node
// @package published
// Tests of the methods' contract, with the package installed from a registry, on each Node version.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { installed, managersOf } = require('../support/package-managers.js')
const { publishedRegistry } = require('../support/registry.js')
const { NODES, missing, node } = require('../support/runtimes.js')
const { variants } = require('../support/variants.js')

/** The tests that need no sources and little time. */
const CONTRACT = [
  'circuits/circuits',
  'cache/cache',
  'checkpoints/checkpoints',
  'idempotency/idempotency',
  'connection/errors',
].map((name) => `__test__/${name}.test.js`)

const root = path.join(__dirname, '../..')
/** @type {Awaited<ReturnType<typeof publishedRegistry>>} */
let registry

before(async () => {
  if (missing) return
  registry = await publishedRegistry()
})

for (const runtime of variants(NODES)) {
  test(`node ${runtime}`, { skip: missing }, async (t) => {
    const [npm] = managersOf(runtime)
    assert.ok(npm)
    const { application, node: inNode } = await installed(registry.url, npm, node(runtime))

    for (const part of ['scripts/servers', '__test__/support', ...CONTRACT]) {
      fs.cpSync(path.join(root, part), application.path(part), { recursive: true })
    }
    const given = Object.entries(process.env).filter(([name]) => name.startsWith('GOSCOPE_TEST_'))
    const output = await inNode(['--test', '--test-reporter=tap', ...CONTRACT], Object.fromEntries(given))
    const passed = Number(/^# pass (\d+)$/m.exec(output)?.[1])
    assert.ok(passed > 40, output)
    t.diagnostic(`figure: ${passed} contract tests passed on node ${runtime}`)
  })
}
