// @ts-check
// What may end the demo before its end.
'use strict'

// Many times what it takes: a slow or busy machine is no reason to fail.
const DEADLINE_MS = 300_000
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }

class Interruption extends Error {
  /**
   * @param {string} message
   * @param {number} exitCode
   */
  constructor(message, exitCode) {
    super(message)
    this.exitCode = exitCode
  }
}

/** @returns {Promise<never>} rejects with an {@link Interruption} */
function interruption() {
  return new Promise((_, reject) => {
    for (const [signal, exitCode] of Object.entries(SIGNALS)) {
      // Only once: a second Ctrl-C ends the process at once, and its children and server with it.
      process.once(signal, () => reject(new Interruption(`interrupted by ${signal}`, exitCode)))
    }
    process.stdout.on('error', () => reject(new Interruption('cut off: its output is not read', 1)))
    const late = () => reject(new Interruption(`stopped: not done after ${DEADLINE_MS / 1000} s`, 1))
    setTimeout(late, DEADLINE_MS).unref()
  })
}

module.exports = { Interruption, interruption }
