// @ts-check
// How many test files run at once. Most files mainly wait for servers, locks and timers, and some keep a core busy. A
// fixed number would leave cores idle among the former, and be too high among the latter or on a machine with other
// work.
'use strict'

const os = require('node:os')
const { setTimeout: sleep } = require('node:timers/promises')

/** Files at once, whatever the load of the cores. */
const AT_LEAST = 3
/** A limit for the files' use of the server: connections, memory, and disk writes. */
const AT_MOST = 8
/** Another file is started if this share of all cores has been idle. */
const IDLE_SHARE = 0.1
/** The time between two checks of the cores, in milliseconds: the file started last is busy by then. */
const INTERVAL_MS = 500

/**
 * Runs the tasks, as many at once as the cores can handle. A task does not reject.
 *
 * @param {AsyncIterable<() => Promise<void>>} tasks each is asked for when it is about to run
 */
async function runAtPace(tasks) {
  /** @type {Set<Promise<void>>} */
  const running = new Set()
  try {
    for await (const task of tasks) {
      const one = task().finally(() => running.delete(one))
      running.add(one)
      await untilAnotherFits(running)
    }
  } finally {
    await Promise.all(running)
  }
}

/** @param {Set<unknown>} running */
async function untilAnotherFits(running) {
  let before = coreTimes()
  while (running.size >= AT_LEAST) {
    await sleep(INTERVAL_MS)
    const now = coreTimes()
    if (running.size < AT_MOST && now.idle - before.idle > IDLE_SHARE * (now.total - before.total)) return
    before = now
  }
}

/** The time that the cores have used since the machine started, in milliseconds. */
function coreTimes() {
  const sum = { idle: 0, total: 0 }
  for (const { times } of os.cpus()) {
    sum.idle += times.idle
    sum.total += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return sum
}

module.exports = { runAtPace }
