import { PostgresAdapter } from 'goscope-postgres'

export const dynamic = 'force-dynamic'

// One for the process: its connections are shared by all requests.
let adapter

export async function GET() {
  adapter ??= new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'next:' })
  // Two servers never count one visit twice: the lock is held by one of them.
  const lock = await adapter.acquire('visits', 5_000)
  if (!lock) return new Response('busy', { status: 503 })
  const visits = ((await adapter.get('visits')) ?? 0) + 1
  await adapter.set('visits', visits)
  await lock.release()
  return Response.json({ visits })
}
