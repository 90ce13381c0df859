// Compiled, never run: the store is one of Keyv 5 and of Keyv 6.

import { PostgresAdapter, PostgresCacheAdapter } from 'goscope-postgres'
import { KeyvStore, type KeyvStoreOptions } from 'goscope-postgres/keyv'
import { Keyv as Keyv5, type KeyvStoreAdapter } from 'keyv5'
import { Keyv as Keyv6, type KeyvStorageAdapter } from 'keyv6'
import { Pool } from 'pg'

const options: KeyvStoreOptions = { keyPrefix: 'app:', tableName: 'app.keyv', durability: 'async', createTables: true }
const pool = new Pool()
export const stores = [
  new KeyvStore(),
  new KeyvStore(pool, options),
  new KeyvStore('postgres://localhost/app'),
  new KeyvStore({ host: 'localhost' }),
  new KeyvStore(new PostgresAdapter(pool)),
  new KeyvStore(new PostgresCacheAdapter(pool)),
  new KeyvStore(new PostgresAdapter(pool).cache),
]
export const of5: KeyvStoreAdapter = new KeyvStore(pool)
export const of6: KeyvStorageAdapter = new KeyvStore(pool)
export const keyvs = [new Keyv5(of5), new Keyv5({ store: of5 }), new Keyv6(of6), new Keyv6({ store: of6 })]
// @ts-expect-error it is no source
new KeyvStore(42)
// @ts-expect-error the option is misspelt
new KeyvStore(pool, { prefix: 'app:' })
