// @ts-check
// @configurations last
// @without first: the recipe for Next.js
// @package published
// The recipe for Next.js, with the package as it is published, deployed to a clean folder.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')
const { Consumer, applicationEnv } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { recipe } = require('../support/recipes.js')
const { freePort, publishedRegistry, serve } = require('../support/registry.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const url = async () => ({ DATABASE_URL: (await database).url })

test('Next.js, its standalone output', async () => {
  const registry = await publishedRegistry()
  const built = await recipe(registry.url, 'next', ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'])
  const telemetry = { NEXT_TELEMETRY_DISABLED: '1' }
  await built.succeed(['node_modules/next/dist/bin/next', 'build'], { env: { ...(await url()), ...telemetry } })
  const deployed = new Consumer()
  fs.cpSync(built.path('.next/standalone'), deployed.folder, { recursive: true, verbatimSymlinks: true })
  fs.rmSync(built.folder, { recursive: true })

  const port = await freePort()
  const env = { ...applicationEnv(), ...(await url()), ...telemetry, HOSTNAME: '127.0.0.1', PORT: String(port) }
  const server = serve(['server.js'], { cwd: deployed.folder, env })
  const visit = async () => {
    server.mustRun()
    return fetch(`http://127.0.0.1:${port}/visits`).then(
      (response) => response.text(),
      () => '',
    )
  }
  assert.equal(await until('the server to answer', visit), '{"visits":1}')
  assert.equal(await visit(), '{"visits":2}')
})
