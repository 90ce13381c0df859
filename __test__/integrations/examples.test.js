// @ts-check
// @configurations last
// @without first: it installs six libraries
// @package packed
// The examples for other libraries, with these as npm installs them: each prints its output.txt.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { Consumer, PG, tarball } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')

const examples = path.join(__dirname, '../../examples/integrations')

/** What each example needs. */
const LIBRARIES = {
  'node-cron': ['node-cron@4.6.0'],
  'fastify-rate-limit': ['fastify@5.12.8', '@fastify/rate-limit@11.2.0'],
  bentocache: ['bentocache@1.6.1'],
  verrou: ['@verrou/core@0.5.2'],
  opossum: ['opossum@9.0.0'],
  powertools: ['@aws-lambda-powertools/idempotency@2.35.0'],
}
const names = Object.keys(LIBRARIES)

const database = useDatabase()
const application = new Consumer({ type: 'module' })

before(async () => {
  const libraries = /** @type {Record<string, string[]>} */ (LIBRARIES)
  await application.install([await tarball(), PG, ...names.flatMap((name) => libraries[name] ?? [])])
  fs.cpSync(examples, application.folder, { recursive: true })
})

/** Those with a test of their own. */
const ELSEWHERE = ['next-cache']

test('each example is run here', () => {
  assert.deepEqual(fs.readdirSync(examples).sort(), [...names, ...ELSEWHERE].sort())
})

for (const name of names) {
  test(`examples/integrations/${name}`, async () => {
    const output = await application.succeed([`${name}/main.mjs`], { env: { DATABASE_URL: (await database).url } })
    assert.equal(output, fs.readFileSync(path.join(examples, name, 'output.txt'), 'utf8'))
  })
}
