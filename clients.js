// @ts-check
'use strict'

const { fromDrizzle } = require('./lib/clients/drizzle.js')
const { fromKnex } = require('./lib/clients/knex.js')
const { fromKysely } = require('./lib/clients/kysely.js')
const { fromPostgresJs } = require('./lib/clients/postgres-js.js')
const { fromPrisma } = require('./lib/clients/prisma.js')
const { fromTypeORM } = require('./lib/clients/typeorm.js')

module.exports = { fromDrizzle, fromKnex, fromKysely, fromPostgresJs, fromPrisma, fromTypeORM }
