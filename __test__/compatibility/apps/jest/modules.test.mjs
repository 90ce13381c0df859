import { randomUUID } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { PostgresAdapter } from 'goscope-postgres'
import pg from 'pg'

test('an ES module under jest', async () => {
  const adapter = new PostgresAdapter(new pg.Pool({ connectionString: process.env.APP_DATABASE_URL }), {
    keyPrefix: `${randomUUID()}:`,
  })
  await adapter.connect()
  await adapter.set('list', [1, { a: 2 }])
  expect(await adapter.get('list')).toStrictEqual([1, { a: 2 }])
  await expect(adapter.set('list', '\0')).rejects.toBeInstanceOf(Error)
  await expect(adapter.set('list', '\0')).rejects.toBeInstanceOf(pg.DatabaseError)
  await expect(adapter.set('list', 1, -1)).rejects.toBeInstanceOf(RangeError)
  await adapter.disconnect()
})
