// Four processes have the same schedule. Each fire is run by one of them.

import { fork } from 'node:child_process'
import { PostgresAdapter } from 'goscope-postgres'

const PROCESSES = 4
const FIRES = 10

const adapter = new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'example:' })
await adapter.connect()
const workers = Array.from({ length: PROCESSES }, () => fork(new URL('worker.mjs', import.meta.url)))
const ready = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)))
await Promise.all(ready)

const first = Math.ceil(Date.now() / 1_000 + 1) * 1_000
const fires = Array.from({ length: FIRES }, (_, at) => new Date(first + at * 1_000).toISOString())
const asked = async () => Number((await adapter.get(`asked:${fires.at(-1)}`)) ?? 0)
// Until each process has asked about the last fire.
while ((await asked()) < PROCESSES) await new Promise((resolve) => setTimeout(resolve, 200))

const runs = await adapter.getMany(fires.map((fire) => `runs:${fire}`))
console.log(`${fires.length} fires, ${runs.reduce((sum, count) => sum + count, 0)} runs`)
console.log(`of each fire: ${[...new Set(runs)].join(', ')}`)
for (const worker of workers) worker.kill()
await adapter.close()
