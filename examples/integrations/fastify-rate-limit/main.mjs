// Two instances of an application share the limit of each client.

import rateLimit from '@fastify/rate-limit'
import fastify from 'fastify'
import { PostgresAdapter } from 'goscope-postgres'
import { storeOn } from './store.mjs'

async function start() {
  const adapter = new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'example:' })
  const app = fastify()
  await app.register(rateLimit, { max: 3, timeWindow: 600_000, store: storeOn(adapter) })
  app.get('/', async () => 'hello')
  app.addHook('onClose', () => adapter.close())
  return app
}

const instances = [await start(), await start()]
for (let request = 0; request < 5; request++) {
  const { statusCode, headers } = await instances[request % 2].inject('/')
  console.log(statusCode, 'left:', headers['x-ratelimit-remaining'])
}
const { statusCode } = await instances[0].inject({ url: '/', remoteAddress: '192.0.2.1' })
console.log('another client:', statusCode)
for (const app of instances) await app.close()
