// A run coordinator for node-cron: of all processes, one runs the task at each fire.

/**
 * The key names the task and the time of the fire. The first process to store it runs the task. The entry stays for the lease
 * (`distributedLease`, 30 s), so that a process whose clock is late does not run it again.
 *
 * @param {import('goscope-postgres').PostgresAdapter} adapter
 */
export const coordinatorOn = (adapter) => ({
  shouldRun: (key, ttl) => adapter.compareAndSet(`cron:${key}`, undefined, process.pid, ttl),
})
