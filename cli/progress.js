// @ts-check
'use strict'

/** A shorter wait needs no message. */
const PATIENCE_MS = 2000

/**
 * Shows on the terminal, and only there, what takes so long, and removes it afterwards.
 *
 * @template T
 * @param {string} what
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
async function whileSlow(what, work) {
  if (!process.stderr.isTTY) return work
  const started = Date.now()
  const show = () => process.stderr.write(`\r${what}, for ${Math.round((Date.now() - started) / 1000)} s …\x1b[K`)
  /** @type {NodeJS.Timeout | undefined} */
  let every
  const late = setTimeout(() => {
    show()
    every = setInterval(show, 1000)
  }, PATIENCE_MS)
  try {
    return await work
  } finally {
    clearTimeout(late)
    if (every !== undefined) {
      clearInterval(every)
      process.stderr.write('\r\x1b[K')
    }
  }
}

module.exports = { whileSlow }
