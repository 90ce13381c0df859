// Compiled, never run: the driver is one of unstorage 1 and 2.

import { PostgresAdapter } from 'goscope-postgres'
import driverOf, { type StorageDriverOptions, storageDriver } from 'goscope-postgres/unstorage'
import { Pool } from 'pg'
import { createStorage as createStorage1, type Driver as Driver1 } from 'unstorage1'
import { createStorage as createStorage2, type Driver as Driver2 } from 'unstorage2'

const options: StorageDriverOptions = { source: new Pool(), base: 'app', ttl: 60, tableName: 'app.storage' }
export const of1: Driver1 = storageDriver(options)
export const of2: Driver2 = storageDriver({ source: new PostgresAdapter() })
export const storages = [createStorage1({ driver: of1 }), createStorage2({ driver: of2 })]
export const entries: Promise<number> = driverOf()
  .getInstance()
  .keys()
  .then((keys) => keys.length)
// @ts-expect-error the option is misspelt
storageDriver({ prefix: 'app' })
