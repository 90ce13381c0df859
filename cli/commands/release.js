// @ts-check
'use strict'

const { release } = require('../changes.js')
const { confirm } = require('../confirm.js')
const { lockOf } = require('../lock.js')
const { likeOf } = require('../options.js')
const { FAILED, FINE, Problem, misuse } = require('../problem.js')
const { tell } = require('../output.js')
const { whileSlow } = require('../progress.js')
const locks = require('../queries/locks.js')
const { json, visible } = require('../text.js')
const { duration } = require('../units.js')

/** @typedef {import('../session.js').Session} Session */

/** @type {import('../commands.js').Command} */
module.exports = {
  name: 'release',
  takes: ['<key>'],
  summary: 'frees a lock, also if another process holds it',
  details: `
For a lock whose holder is gone and whose TTL is long. The holder is not notified: if it still works, two do. So this
shows who holds the lock and asks; --yes does not ask, and without a terminal it is required. A
lock that has changed hands since it was shown is left alone.

--json prints { key, released, lock } with the lock as "locks --json" has it.`,
  options: {
    'key-prefix': { type: 'string', short: 'p', value: 'PREFIX', help: 'the keyPrefix of the adapters (none)' },
    yes: { type: 'boolean', short: 'y', help: 'without asking' },
    json: { type: 'boolean', help: 'for programs' },
  },

  async run({ given, positionals: [key], held }) {
    const { Session } = require('../session.js')
    const session = new Session({ ...given, 'key-prefix': given['key-prefix'] ?? '' })
    held.session = session
    await whileSlow('Connecting', session.reach())
    const found = await locks.one(session, key)
    if (found === undefined) throw await missing(session, key, given)
    const lock = lockOf({ ...found, key, keyPrefix: given['key-prefix'] ?? '' }, given)
    if (!given.yes) await ask(key, lock)
    // A waiter may have the lock already. So a lock that is held again does not show whether it was freed.
    const now = (await release(session, { key, keyPrefix: session.keyPrefix ?? '', owner: lock.owner }))
      ? undefined
      : await locks.one(session, key)
    if (given.json) process.stdout.write(`${json({ key, released: now === undefined, lock }, 2)}\n`)
    if (now !== undefined)
      throw new Problem(FAILED, `'${key}' was not released: it has just been taken by ${visible(now.owner)}`)
    if (!given.json) process.stdout.write(`Released '${visible(key)}', which was ${visible(lock.owner)}'s.\n`)
    return FINE
  },
}

/**
 * @param {string} key
 * @param {ReturnType<typeof lockOf>} lock
 */
async function ask(key, lock) {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw misuse(
      `there is no terminal to ask whether to release '${key}'`,
      'If it is to be released all the same: --yes',
    )
  }
  const ms = lock.expiresInMs
  const when = lock.state === 'expired' ? 'has expired' : `expires in ${duration(ms)}`
  tell(
    `'${visible(key)}' is held by ${visible(lock.owner)} and ${when}.\nIts holder is not notified, and may still be at work.\n`,
  )
  if (!(await confirm('Release it?'))) throw new Problem(FAILED, 'not released')
}

/**
 * @param {Session} session
 * @param {string} key
 * @param {import('../options.js').Given} given
 */
async function missing(session, key, given) {
  const prefix = given['key-prefix']
  const what = `there is no lock '${key}'${prefix ? ` under the prefix '${prefix}'` : ''}`
  const [other] = await locks.list(session, { match: likeOf(key), limit: 1, all: true, ofAnyPrefix: true })
  const hint = other && `There is one under the prefix '${visible(other.keyPrefix)}': see --key-prefix`
  return new Problem(FAILED, what, hint)
}
