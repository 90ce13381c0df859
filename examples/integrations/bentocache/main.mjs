// Two processes' caches: each has a layer in memory, and they share one in the database.

import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { PostgresCacheAdapter } from 'goscope-postgres'
import { postgresDriver } from './driver.mjs'

const open = () => {
  const cache = new PostgresCacheAdapter(process.env.DATABASE_URL, { tableName: 'bentocache' })
  const store = bentostore().useL1Layer(memoryDriver({})).useL2Layer(postgresDriver(cache))
  return new BentoCache({ default: 'shared', stores: { shared: store } })
}
const [one, other] = [open(), open()]

let computed = 0
const rates = (bento) => bento.getOrSet({ key: 'rates', ttl: '10m', factory: () => ({ EUR: 1, computed: ++computed }) })
console.log(await rates(one))
console.log(await rates(other))

const users = one.namespace('users')
await users.set({ key: '1', value: 'Ada' })
await users.set({ key: '2', value: 'Bob' })
console.log(await other.namespace('users').get({ key: '1' }), await other.get({ key: '1' }))
console.log(await users.pull('1'), await users.has({ key: '1' }))
await users.clear()
console.log(await other.namespace('users').get({ key: '2' }), await rates(other))

await one.delete({ key: 'rates' })
console.log(await rates(one))
await Promise.all([one.disconnectAll(), other.disconnectAll()])
