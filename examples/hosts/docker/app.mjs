import { buildInfo, PostgresAdapter } from 'goscope-postgres'

const adapter = new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'docker:' })
const starts = ((await adapter.get('starts')) ?? 0) + 1
await adapter.set('starts', starts)
await adapter.disconnect()
console.log(`start ${starts}, with the addon for ${buildInfo.target}`)
