// @ts-check
// @configurations last
// @without first: it installs Prisma, of 300 MB
// Calls within the transactions of Prisma, as npm installs it.
'use strict'

const { test } = require('node:test')
const { testLibrary } = require('../support/libraries/behaviour.js')
const { install } = require('../support/libraries/library.js')
const { generate, prisma } = require('../support/libraries/prisma.js')
const { useServers } = require('../support/libraries/servers.js')
const { TYPES, compile } = require('../support/libraries/types.js')

const installed = install([...prisma.specs, ...TYPES, 'pg@8.23.1']).then(async ({ consumer, load }) => {
  await generate(consumer)
  return { consumer, load }
})

for (const server of useServers()) {
  testLibrary({ ...prisma, name: `${prisma.name}${server.title}` }, () => installed, server.placed)
}

test('the types of Prisma’s transactions are accepted, and those of a whole client are not', async () => {
  await compile((await installed).consumer, 'transactions/types/prisma.ts')
})
