// @ts-check
// @configurations first, last
// Calls within the transactions of pg, Drizzle, Knex, Kysely, postgres.js and TypeORM, as npm installs them, on the
// newest PostgreSQL and on the oldest.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { fromKnex } = require('goscope-postgres/clients')
const { cutAtParameters } = require('../../lib/clients/parameters.js')
const { testLibrary } = require('../support/libraries/behaviour.js')
const drizzle = require('../support/libraries/drizzle.js')
const { knex } = require('../support/libraries/knex.js')
const kysely = require('../support/libraries/kysely.js')
const { install } = require('../support/libraries/library.js')
const pg = require('../support/libraries/pg.js')
const postgresJs = require('../support/libraries/postgres-js.js')
const { useServers } = require('../support/libraries/servers.js')
const typeorm = require('../support/libraries/typeorm.js')
const { TYPES, compile } = require('../support/libraries/types.js')
const { variants } = require('../support/variants.js')

/** One of each library, and then other kinds of transactions of the same. */
const MAIN = [pg.pooled, drizzle.onPg, knex, kysely.kysely, postgresJs.postgresJs, typeorm.typeorm]
const OTHERS = [pg.single, drizzle.onPostgresJs, kysely.controlled, postgresJs.reserved, typeorm.queryRunner]
const LIBRARIES = [...MAIN, ...OTHERS]

const installed = install([...LIBRARIES.flatMap(({ specs }) => specs), ...TYPES])
const runs = useServers().flatMap((server) => LIBRARIES.map((library) => ({ library, server })))

for (const { library, server } of variants(runs, MAIN.length)) {
  testLibrary({ ...library, name: `${library.name}${server.title}` }, () => installed, server.placed)
}

for (const file of variants(['libraries.ts'])) {
  test('each library’s own types are accepted, and those of its pools are not', async () => {
    await compile((await installed).consumer, `transactions/types/${file}`)
  })
}

test('parameters are found in any order, and not in names, values and comments', () => {
  assert.deepEqual(cutAtParameters('a$1 $2, "$1""$1" = $1 + $2 /* $1 */ \'$1\'\'$1\' -- $1\n $10', [1, 2]), {
    parts: ['a$1 ', ', "$1""$1" = ', ' + ', " /* $1 */ '$1''$1' -- $1\n ", ''],
    values: [2, 1, 2, undefined],
  })
})

test('a text that Knex cannot send is refused', async () => {
  const trx = /** @type {any} */ ({ isTransaction: true, raw: () => assert.fail('it was sent') })
  await assert.rejects(fromKnex(trx).query("SELECT '\\?'"), { code: 'ERR_INVALID_ARG_VALUE' })
})
