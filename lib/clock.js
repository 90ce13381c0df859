// @ts-check
// Real time and timers, also under a test runner with fake clocks (jest, vitest, sinon). These replace the global
// timers, `Date` and `performance`. In the main realm they also replace the functions of `node:timers` and
// `node:timers/promises`, for every module that is loaded afterwards, and `performance.now` of `node:perf_hooks`.
// They replace neither `process.uptime` nor `Atomics.waitAsync`, which belongs to the language, has a time limit, and
// runs on the event loop in Node, Bun and Deno. This is the only clock that lib/ may use in the application's
// process; biome.json forbids the others.
'use strict'

const { MessageChannel } = require('node:worker_threads')

/** Milliseconds, with fractions, of a clock that is never set. */
const now = () => process.uptime() * 1000

/** The application's own wall clock, fake if that is fake: for times that the application compares with it. */
// biome-ignore lint/style/noRestrictedGlobals: it is the one that is meant
const wallClock = () => Date.now()

/**
 * Calls back once, after a time. Does not keep the process alive.
 *
 * @param {number} ms
 * @param {() => void} callback
 * @returns {() => void} cancels it
 */
function after(ms, callback) {
  const word = new Int32Array(new SharedArrayBuffer(4))
  // At least 1: a wait of 0 ms ends at once, and returns no promise.
  const { value } = /** @type {any} */ (Atomics).waitAsync(word, 0, 0, Math.max(ms, 1))
  value.then((/** @type {'ok' | 'timed-out'} */ outcome) => outcome === 'timed-out' && callback())
  return () => void Atomics.notify(word, 0)
}

/**
 * Whether the promise resolves within a time. If it rejects within that time, this rejects as well.
 *
 * @param {Promise<unknown>} promise
 * @param {number} ms
 * @returns {Promise<boolean>}
 */
function resolvesWithin(promise, ms) {
  return new Promise((resolve, reject) => {
    const cancel = after(ms, () => resolve(false))
    promise.then(() => resolve(true), reject).finally(cancel)
  })
}

/**
 * Resolves in a later turn of the event loop, when every promise that is settled by now has called back.
 *
 * @returns {Promise<void>}
 */
const nextTurn = () => new Promise((resolve) => void after(0, resolve))

/**
 * Resolves after a time, and keeps the process alive until then.
 *
 * @param {number} ms
 * @returns {Promise<void>}
 */
function pause(ms) {
  const end = keepAlive()
  return new Promise((resolve) => {
    after(ms, () => {
      end()
      resolve()
    })
  })
}

/** Those who keep the process alive now share a port. @type {{ port: import('node:worker_threads').MessagePort, users: number } | undefined} */
let open

/**
 * Keeps the process alive.
 *
 * @returns {() => void} ends it; to be called once
 */
function keepAlive() {
  open ??= { port: openPort(), users: 0 }
  open.users++
  return () => {
    if (open === undefined || --open.users > 0) return
    open.port.close()
    open = undefined
  }
}

/** A port with a listener counts as open. */
function openPort() {
  const { port1 } = new MessageChannel()
  port1.on('message', () => {})
  return port1
}

module.exports = { after, keepAlive, nextTurn, now, pause, resolvesWithin, wallClock }
