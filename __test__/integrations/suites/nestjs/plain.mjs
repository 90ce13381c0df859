// An application of Nest without decorators' syntax, on a pool of its own, with two modules.

import 'reflect-metadata'
import { Inject, Injectable, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } from 'goscope-postgres'
import { GoscopePostgresHealth, GoscopePostgresModule } from 'goscope-postgres/nestjs'
import pg from 'pg'

const url = process.env.APP_DATABASE_URL
const pool = new pg.Pool({ connectionString: url })

const decorate = (Class, decorator, ...injected) => {
  decorator(Class)
  for (const [at, token] of injected.entries()) Inject(token)(Class, undefined, at)
  return Class
}

const Jobs = decorate(
  class {
    constructor(adapter, cache, results, health) {
      Object.assign(this, { adapter, cache, results, health })
    }
  },
  Injectable(),
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
  GoscopePostgresHealth,
)
const Other = decorate(
  class {
    constructor(adapter) {
      this.adapter = adapter
    }
  },
  Injectable(),
  PostgresAdapter,
)
const OtherModule = decorate(
  class {},
  Module({ imports: [GoscopePostgresModule.forRoot({ connection: url, keyPrefix: 'b:' })], providers: [Other] }),
)
const AppModule = decorate(
  class {},
  Module({
    imports: [GoscopePostgresModule.forRoot({ connection: pool, keyPrefix: 'a:', idempotency: {} }), OtherModule],
    providers: [Jobs],
  }),
)

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error'], abortOnError: false })
const { adapter, cache, results, health } = app.get(Jobs)
const other = app.get(Other, { strict: false }).adapter
const { rows } = await pool.query(
  "SELECT count(*)::int AS n FROM pg_class WHERE relname IN ('cache', 'go_goscope_idempotency')",
)
console.log('tables of those with options:', rows[0].n)
await adapter.set('k', 1)
await cache.set('k', 2)
console.log(
  'values:',
  await adapter.get('k'),
  await cache.get('k'),
  await results.run('k', () => 3),
  await other.get('k'),
)
console.log('health:', JSON.stringify(await health.pingCheck()))

await app.close()
for (const each of [adapter, cache, results, other]) console.log(await each.ping().catch(({ code }) => code))
console.log('health:', JSON.stringify(await health.pingCheck('database')))
console.log('pool:', (await pool.query('SELECT 1 AS one')).rows[0].one)
await pool.end()
