import { PostgresAdapter } from 'goscope-postgres'

// Outside of the handler: a warm start finds it, and its connections, as they were. An idle adapter keeps nothing awake.
const adapter = new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'lambda:' })

export async function handler(event) {
  const lock = await adapter.acquire(`order:${event.order}`, 30_000)
  if (!lock) return { statusCode: 409, body: 'another invocation is at it' }
  try {
    return { statusCode: 200, body: `order ${event.order} done` }
  } finally {
    await lock.release()
  }
}
