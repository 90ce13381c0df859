// @ts-check
// The packed package in test runs whose clock and timers are fakes that do not move, and in a window of jsdom's: no call
// may depend on them, whenever they were installed.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PG, makeConsumer } = require('../helpers/consumer.js')
const { useDatabase } = require('../helpers/database.js')

const JEST = ['jest@30.5.2', 'jest-environment-jsdom@30.5.2']

const database = useDatabase()
/** @type {import('../helpers/consumer.js').Consumer} */
let application
/** @type {{ env: NodeJS.ProcessEnv }} */
let options

before(async () => {
  application = await makeConsumer('clocks', [PG, ...JEST, 'vitest@4.1.12', 'sinon@22.1.0'])
  options = { env: { APP_DATABASE_URL: (await database).url } }
})

for (const [environment, tests] of /** @type {[string, number][]} */ ([
  ['node', 6],
  ['jsdom', 12],
])) {
  test(`every call under jest's fake timers, in its environment ${environment}`, async () => {
    const jest = ['node_modules/jest/bin/jest.js', '--runInBand', `${environment}.test.js`]
    const output = await application.succeed(jest, options)
    assert.match(output, new RegExp(`^Tests: +${tests} passed, ${tests} total$`, 'm'))
  })
}

for (const pool of ['forks', 'vmThreads']) {
  test(`every call under vitest's fake timers, with --pool=${pool}`, async () => {
    const output = await application.succeed(['node_modules/vitest/vitest.mjs', 'run', `--pool=${pool}`], options)
    assert.match(output, /^ +Tests +6 passed \(6\)$/m)
  })
}

for (const when of ['before', 'after']) {
  for (const hooks of ['hooks', 'plain']) {
    // By default sinon fakes process.nextTick, too, which stops pg and all that Node sends.
    for (const which of ['all', 'timers']) {
      const how = `${when} the package was loaded, ${hooks}, ${which}`
      test(`every call under sinon's fake timers, installed ${how}`, async () => {
        const output = await application.succeed(['sinon.cjs', when, hooks, which], options)
        assert.ok(output.includes(`worked with fakes installed ${how}`), output)
      })
    }
  }
}

test("every call under node:test's fake timers", async () => {
  const output = await application.succeed(['--test', '--test-reporter=tap', 'node-test.cjs'], options)
  assert.match(output, /^# pass 2$/m)
})
