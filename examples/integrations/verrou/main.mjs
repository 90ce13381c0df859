// Locks of verrou, held in the database, through two connections.

import { LockFactory } from '@verrou/core'
import { PostgresAdapter } from 'goscope-postgres'
import { storeOn } from './store.mjs'

const open = () => storeOn(new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'verrou:' }))
const stores = [open(), open()]
const [one, other] = stores.map((store) => new LockFactory(store))

const lock = one.createLock('orders', '10m')
console.log('taken:', await lock.acquireImmediately())
const second = other.createLock('orders', '10m')
console.log('taken by another:', await second.acquireImmediately(), 'locked:', await second.isLocked())
console.log(await second.release().catch((error) => error.code))

// Another process may go on with a lock, and release it.
const restored = other.restoreLock(lock.serialize())
await restored.extend('20m')
await restored.release()
console.log('locked:', await lock.isLocked())

const order = []
const work = (factory, name) =>
  factory.createLock('orders').run(async () => {
    order.push(`${name} begins`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    order.push(`${name} ends`)
  })
await Promise.all([work(one, 'a'), work(other, 'b')])
console.log('one after the other:', order[0][0] === order[1][0] && order[2][0] === order[3][0])
await Promise.all(stores.map((store) => store.disconnect()))
