// @ts-check
// @configurations first, last
// @package packed
// The packed package in test runs with a fake clock and fake timers that do not advance. No call may depend on them,
// whenever they were installed. clocks-jest.test.js tests those of jest.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { APPS, PG, makeConsumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { NAMES } = require('../support/operations.js')
const { variants } = require('../support/variants.js')

const database = useDatabase()
/** @type {import('../support/consumer.js').Consumer} */
let application
/** @type {{ env: NodeJS.ProcessEnv }} */
let options

before(async () => {
  application = await makeConsumer('clocks', [PG, 'vitest@4.1.12', 'sinon@22.1.0'])
  options = { env: { APP_DATABASE_URL: (await database).url } }
})

test('every-call.cjs calls each method', () => {
  const code = fs.readFileSync(path.join(APPS, 'clocks/every-call.cjs'), 'utf8')
  const methods = Object.values(NAMES).flatMap((names) => Object.keys(names))
  assert.deepEqual(
    methods.filter((name) => !code.includes(`.${name}(`)),
    [],
  )
})

for (const pool of variants(['forks', 'vmThreads'])) {
  test(`every call under vitest's fake timers, with --pool=${pool}`, async () => {
    const output = await application.succeed(['node_modules/vitest/vitest.mjs', 'run', `--pool=${pool}`], options)
    assert.match(output, /^ +Tests +6 passed \(6\)$/m)
  })
}

/** By default (all), sinon also fakes process.nextTick, which stops pg and everything that Node sends. */
const SINON = [
  ['before', 'hooks', 'timers'],
  ['before', 'plain', 'all'],
  ['after', 'hooks', 'all'],
  ['after', 'plain', 'timers'],
  ['before', 'hooks', 'all'],
  ['before', 'plain', 'timers'],
  ['after', 'hooks', 'timers'],
  ['after', 'plain', 'all'],
]
for (const [when, hooks, which] of variants(SINON, 4)) {
  const how = `${when} the package was loaded, ${hooks}, ${which}`
  test(`every call under sinon's fake timers, installed ${how}`, async () => {
    const output = await application.succeed(['sinon.cjs', when, hooks, which], options)
    assert.ok(output.includes(`worked with fakes installed ${how}`), output)
  })
}

test("every call under node:test's fake timers", async () => {
  const output = await application.succeed(['--test', '--test-reporter=tap', 'node-test.cjs'], options)
  assert.match(output, /^# pass 2$/m)
})
