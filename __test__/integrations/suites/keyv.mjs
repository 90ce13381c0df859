// Keyv's published suite for stores, with a version of Keyv that the environment names. It runs in vitest.

import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite'
import { KeyvStore } from 'goscope-postgres/keyv'
import pg from 'pg'
import * as test from 'vitest'

const { Keyv } = await import(process.env.APP_KEYV)
const pool = new pg.Pool({ connectionString: process.env.APP_DATABASE_URL })
test.afterAll(() => pool.end())

const store = () => (process.env.APP_STORE === 'Map' ? Object.assign(new Map(), { opts: {} }) : new KeyvStore(pool))

keyvTestSuite(test, Keyv, store)
keyvIteratorTests(test, Keyv, store)
