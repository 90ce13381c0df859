// A circuit breaker of opossum whose state all processes share.

import CircuitBreaker from 'opossum'

const isRefusal = (error) => error?.code === 'EOTHERPROBES'

/**
 * Failures of all processes are counted in the database. When there are `maxFailures` without a success in between, the breaker
 * opens in every process. After `resetTimeout`, one of the processes tries, and its result closes or opens all of them.
 *
 * @param {(...given: any[]) => Promise<any>} action
 * @param {import('goscope-postgres').PostgresAdapter} adapter
 * @param {{ key: string, maxFailures: number, resetTimeout: number }} options
 */
export function sharedBreaker(action, adapter, { key, maxFailures, resetTimeout }) {
  let hasFailed = false
  const guarded = async (...given) => {
    // Of all processes, one gets true.
    if (breaker.halfOpen && !(await adapter.tryProbe(key, resetTimeout))) {
      throw Object.assign(new Error('Another process is trying'), { code: 'EOTHERPROBES' })
    }
    return action(...given)
  }
  // At 100 it does not open by itself.
  const breaker = new CircuitBreaker(guarded, { errorThresholdPercentage: 100, resetTimeout })
  const report = (/** @type {Promise<unknown>} */ reported) =>
    reported.catch((error) => breaker.emit('shareError', error))
  breaker.on('failure', (error) => {
    if (isRefusal(error)) return
    hasFailed = true
    report(adapter.recordFailure(key, maxFailures))
  })
  breaker.on('success', () => {
    if (hasFailed || !breaker.closed) report(adapter.recordSuccess(key))
    hasFailed = false
  })
  const follow = (stored) => {
    if (stored?.state === 'open') breaker.open()
    if (stored?.state === 'closed') breaker.close()
  }
  const end = adapter.subscribe(key, follow)
  // The changes before this process began.
  report(adapter.getState(key).then(follow))
  breaker.on('shutdown', end)
  return breaker
}
