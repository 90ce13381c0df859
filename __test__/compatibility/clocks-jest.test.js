// @ts-check
// @configurations last
// @without first: jest's fake timers; here those of vitest, sinon and Node are tried
// @package packed
// The packed package under jest's fake timers, which do not advance, and in a jsdom window; see clocks.test.js.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PG, makeConsumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
/** @type {import('../support/consumer.js').Consumer} */
let application
/** @type {{ env: NodeJS.ProcessEnv }} */
let options

before(async () => {
  application = await makeConsumer('clocks', [PG, 'jest@30.5.2', 'jest-environment-jsdom@30.5.2'])
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
