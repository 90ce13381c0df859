// @ts-check
// @configurations last
// @without first: the versions and modes of vitest; here one of them runs, in compatibility/clocks
// @package packed
// The packed package under vitest, in each of its pools.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PG, makeConsumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { missing, node } = require('../support/runtimes.js')
const { variants } = require('../support/variants.js')

const VERSIONS = [
  { version: '4.1.12', skip: false, runtime: () => process.execPath },
  // Not for Node 20, which may be the version that runs this.
  { version: '5.1.1', skip: missing, runtime: () => node('24.21.0') },
]

const POOLS = ['forks', 'threads', 'vmThreads', 'vmForks']
const RUNS = variants(VERSIONS.flatMap(({ version }) => POOLS.map((pool) => ({ version, pool }))))

const database = useDatabase()

for (const { version, skip, runtime } of VERSIONS) {
  const runs = RUNS.filter((run) => run.version === version)
  if (runs.length === 0) continue
  test(`vitest ${version}`, { skip }, async (t) => {
    const application = await makeConsumer('vitest', [PG, `vitest@${version}`])
    const options = { runtime: runtime(), env: { APP_DATABASE_URL: (await database).url } }
    for (const { pool } of runs) {
      await t.test(`--pool=${pool}`, async () => {
        const output = await application.succeed(['node_modules/vitest/vitest.mjs', 'run', `--pool=${pool}`], options)
        assert.match(output, /^ +Tests +6 passed \(6\)$/m)
        assert.doesNotMatch(output, /timed out|Unhandled|hanging|prevents/i)
      })
    }
  })
}
