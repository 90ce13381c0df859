// @ts-check
// @configurations last
// @without first: other runtimes
// @package packed
// The packed package on every maintained Node, and on Bun and Deno.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PG, makeConsumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { BUN, DENO, NODES, bun, deno, missing, node } = require('../support/runtimes.js')

/** @type {{ name: string, fetch: () => string, args: string[] }[]} */
const RUNTIMES = [
  ...NODES.map((version) => ({ name: `node ${version}`, fetch: () => node(version), args: [] })),
  { name: `bun ${BUN}`, fetch: bun, args: [] },
  { name: `deno ${DENO}`, fetch: deno, args: ['run', '--allow-all'] },
]

const database = useDatabase()
/** @type {import('../support/consumer.js').Consumer} */
let application

before(async () => {
  if (!missing) application = await makeConsumer('plain', [PG])
})

for (const { name, fetch, args } of RUNTIMES) {
  test(name, { skip: missing }, async () => {
    const runtime = fetch()
    const env = { APP_DATABASE_URL: (await database).url }
    const used = application.path('node_modules/goscope-postgres/index.js')
    for (const main of ['main.cjs', 'main.mjs']) {
      const output = await application.succeed([...args, main], { runtime, env })
      assert.ok(output.includes(`worked with ${used} in ${name}\n`), output)
    }
  })
}
