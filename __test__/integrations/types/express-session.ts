// Compiled, never run: the store is one of express-session.

import session from 'express-session'
import { SessionStore, type SessionStoreOptions } from 'goscope-postgres/express-session'
import { Pool } from 'pg'

const options: SessionStoreOptions = { keyPrefix: 'app:', ttl: 60_000, tableName: 'app.sessions', durability: 'async' }
const store = new SessionStore(new Pool(), options)
export const base: session.Store = store
export const middleware = session({ store, secret: 'secret' })
store.get('id', (error, data?: session.SessionData | null) => console.log(error, data?.cookie.maxAge))
store.on('error', (error: Error) => console.log(error))
export const closed: Promise<void> = store.close()
// @ts-expect-error the option is misspelt
new SessionStore(new Pool(), { prefix: 'app:' })
