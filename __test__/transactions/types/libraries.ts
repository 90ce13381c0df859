// Compiled against the types of the libraries, never run. Each `@ts-expect-error` fails the compilation if the line
// beneath it is accepted.

import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleJs } from 'drizzle-orm/postgres-js'
import knexOf, { type Knex } from 'knex'
import { Kysely, PostgresDialect } from 'kysely'
import { type Client, Pool, type PoolClient } from 'pg'
import postgres from 'postgres'
import { DataSource } from 'typeorm'
import { PostgresAdapter, PostgresIdempotencyAdapter } from 'goscope-postgres'
import { fromDrizzle, fromKnex, fromKysely, fromPostgresJs, fromTypeORM } from 'goscope-postgres/clients'

const pool = new Pool()
const adapter = new PostgresAdapter(pool)
const results = new PostgresIdempotencyAdapter(pool)

const ofPg = drizzle(pool)
const ofPostgresJs = drizzleJs(postgres())
const kysely = new Kysely<{ effects: { id: number } }>({ dialect: new PostgresDialect({ pool }) })
const knex = knexOf({ client: 'pg' })
const postgresJs = postgres()
const dataSource = new DataSource({ type: 'postgres' })

export async function accepted(
  client: Client,
  poolClient: PoolClient,
  trx: Knex.Transaction<{ id: number }, object[]>,
) {
  adapter.within(client)
  results.within(poolClient)
  await ofPg.transaction((tx) => adapter.within(fromDrizzle(tx, sql)).clear())
  await ofPostgresJs.transaction((tx) => tx.transaction((nested) => adapter.within(fromDrizzle(nested, sql)).clear()))
  await kysely.transaction().execute((trx) => adapter.within(fromKysely(trx)).clear())
  adapter.within(fromKysely(await kysely.startTransaction().execute()))
  await knex.transaction((trx) => adapter.within(fromKnex(trx)).clear())
  adapter.within(fromKnex(trx))
  await postgresJs.begin((sql) => sql.savepoint((sql) => adapter.within(fromPostgresJs(sql)).clear()))
  adapter.within(fromPostgresJs(await postgresJs.reserve()))
  await dataSource.transaction((manager) => adapter.within(fromTypeORM(manager)).clear())
  adapter.within(fromTypeORM(dataSource.createQueryRunner()))
}

/** The library's own transaction is at hand, with its type. */
export async function typed() {
  return [
    await ofPg.transaction((tx) => fromDrizzle(tx, sql).transaction.execute(sql`SELECT 1`)),
    await kysely
      .transaction()
      .execute((trx) => fromKysely(trx).transaction.selectFrom('effects').select('id').execute()),
    await results.run('key', async ({ client }) => (await client.transaction.execute(sql`SELECT 1`)).rowCount, {
      transaction: (work) => ofPg.transaction((tx) => work(fromDrizzle(tx, sql))),
    }),
  ]
}

export function refused() {
  // @ts-expect-error each query of a pool may run on another connection
  fromDrizzle(ofPg, sql)
  // @ts-expect-error
  fromDrizzle(pool, sql)
  // @ts-expect-error
  fromKysely(kysely)
  // @ts-expect-error
  fromKnex(knex)
  // @ts-expect-error
  fromPostgresJs(postgresJs)
  // @ts-expect-error
  fromTypeORM(dataSource)
}
