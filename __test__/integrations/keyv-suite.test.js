// @ts-check
// @configurations last
// @without first: the suite takes a minute to install; here integrations/keyv covers what it tests
// @package packed
// The suite that Keyv publishes for stores, on the packed package, in vitest.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { Consumer, PG, tarball } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')

const SUITE = '@keyv/test-suite@2.1.2'
const SPECS = ['keyv@5.6.0', 'keyv6@npm:keyv@6.1.0', SUITE, 'vitest@4.1.12', PG]

const database = useDatabase()
const consumer = new Consumer()

before(async () => {
  fs.copyFileSync(path.join(__dirname, 'suites/keyv.mjs'), consumer.path('suite.test.mjs'))
  await consumer.install([await tarball(), ...SPECS])
})

/**
 * @param {string} keyv the package
 * @param {'KeyvStore' | 'Map'} store
 * @returns {Promise<{ passed: string[], failed: string[] }>}
 */
async function run(keyv, store) {
  const env = { APP_KEYV: keyv, APP_STORE: store, APP_DATABASE_URL: (await database).url }
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json', '--outputFile=report.json']
  const { output } = await consumer.run(vitest, { env })
  const { testResults } = JSON.parse(fs.readFileSync(consumer.path('report.json'), 'utf8'))
  /** @type {{ status: string, title: string }[]} */
  const results = testResults.flatMap((/** @type {any} */ file) => file.assertionResults)
  const titlesOf = (/** @type {boolean} */ isPassed) =>
    results.filter(({ status }) => (status === 'passed') === isPassed).map(({ title }) => title)
  assert.equal(results.length, 42, output)
  return { passed: titlesOf(true), failed: titlesOf(false) }
}

test('it passes with Keyv 5', async () => {
  assert.deepEqual((await run('keyv', 'KeyvStore')).failed, [])
})

test('with Keyv 6, it passes but for what every store fails: deleteMany returns no boolean any more', async () => {
  const { failed } = await run('keyv6', 'KeyvStore')
  assert.deepEqual(failed, ['.deleteMany([keys]) with nonexistent keys resolves to false'])
  assert.deepEqual((await run('keyv6', 'Map')).failed, failed)
})
