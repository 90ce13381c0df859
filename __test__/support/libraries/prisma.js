// @ts-check
'use strict'

const fs = require('node:fs')
const { fromPrisma } = require('goscope-postgres/clients')
const { inSavepoint } = require('./library.js')

const SCHEMA = `generator client {
  provider = "prisma-client-js"
  output   = "./generated"
}
datasource db {
  provider = "postgresql"
}
model Effect {
  note String @id
  @@map("effects")
}
`

const LEVELS = { 'read committed': 'ReadCommitted', 'repeatable read': 'RepeatableRead', serializable: 'Serializable' }

/** @type {import('./library.js').Library} */
const prisma = {
  name: 'Prisma',
  specs: ['prisma@7.10.0', '@prisma/client@7.10.0', '@prisma/adapter-pg@7.10.0'],
  async open(load, url) {
    const { Prisma, PrismaClient } = await load('./generated/index.js')
    const { PrismaPg } = await load('@prisma/adapter-pg')
    const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) })
    /** @param {any} tx @returns {import('./library.js').Within} */
    const within = (tx) => {
      const execute = (/** @type {string} */ text) => tx.$executeRawUnsafe(text)
      const itself = { client: fromPrisma(tx), execute, nested }
      /** @param {(nested: import('./library.js').Within) => Promise<any>} work */
      async function nested(work) {
        return await inSavepoint(execute, () => work(itself))
      }
      return itself
    }
    return {
      transaction: (work, isolation) =>
        db.$transaction((/** @type {any} */ tx) => work(within(tx)), {
          timeout: 60_000,
          ...(isolation && { isolationLevel: LEVELS[isolation] }),
        }),
      close: () => db.$disconnect(),
      refused: { 'a whole client': () => fromPrisma(db) },
      isOwnError: (error) => error instanceof Prisma.PrismaClientKnownRequestError,
      sqlstate: (error) => error.meta?.driverAdapterError?.cause?.originalCode,
    }
  },
}

/**
 * Writes the client's code into the folder. Prisma looks for a program that it would download. `generate` runs none, and
 * any file is good enough for it.
 *
 * @param {import('../consumer.js').Consumer} consumer
 */
async function generate(consumer) {
  fs.writeFileSync(consumer.path('schema.prisma'), SCHEMA)
  const env = { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' }
  await consumer.succeed(['node_modules/prisma/build/index.js', 'generate', '--schema=schema.prisma'], { env })
}

module.exports = { generate, prisma }
