// @ts-check
// The log of the calls of one process, for a history of all processes: each call and each return, with a clock that they share.
'use strict'

const fs = require('node:fs')

const now = () => Number(process.hrtime.bigint()) / 1e6

/** @param {string} path of the file */
function callLog(path) {
  const file = fs.openSync(path, 'a')
  const write = (/** @type {object} */ line) => fs.writeSync(file, `${JSON.stringify(line)}\n`)
  let calls = 0
  write({ clock: Date.now(), at: now() })

  /**
   * @template T
   * @param {{ op: string, key: string, owner: string, ttl: number }} what
   * @param {() => Promise<T>} call
   * @param {(result: T) => boolean} says
   * @param {(error: any) => boolean} [isNo] whether an error is an answer
   * @returns {Promise<T | undefined>}
   */
  return async function logged(what, call, says, isNo = () => false) {
    const id = calls++
    write({ id, ...what, from: now() })
    try {
      const result = await call()
      write({ id, to: now(), outcome: says(result) ? 'yes' : 'no' })
      return result
    } catch (error) {
      const { code, stack } = /** @type {any} */ (error)
      const outcome = isNo(error) ? 'no' : 'unknown'
      write({ id, to: now(), outcome, code: typeof code === 'string' ? code : null, stack })
      return undefined
    }
  }
}

module.exports = { callLog }
