import { PostgresAdapter } from 'goscope-postgres'
import cron from 'node-cron'
import { coordinatorOn } from './coordinator.mjs'

const adapter = new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'example:' })
const coordinator = coordinatorOn(adapter)

// Counts who has asked, so that the example knows when the last fire is over.
const counted = {
  async shouldRun(key, ttl) {
    const shouldRun = await coordinator.shouldRun(key, ttl)
    await adapter.increment(`asked:${key.slice(key.indexOf(':') + 1)}`)
    return shouldRun
  },
}

const task = cron.schedule('* * * * * *', ({ date }) => adapter.increment(`runs:${date.toISOString()}`), {
  name: 'tick',
  distributed: true,
  runCoordinator: counted,
  missedExecutionTolerance: 60_000,
  suppressMissedWarning: true,
})
task.on('task:failed', (context) => console.error(context.error))
process.send('ready')
