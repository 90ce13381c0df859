// @ts-check
'use strict'

const { KINDS } = require('../row-changes.js')
const { release } = require('../adapter-calls.js')
const { CHANGING, connected } = require('../change-command.js')
const { ask } = require('../confirm.js')
const { json } = require('../json.js')
const { lockOf } = require('../lock.js')
const { PREFIX_OF_KEY } = require('../options.js')
const { FAILED, FINE, Problem } = require('../problem.js')
const locks = require('../queries/locks.js')
const { LOCK, absent } = require('../subjects.js')
const { visible } = require('../text.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
For a lock whose holder is gone and whose TTL is long. The holder is not notified: if it still works, two do. So this
shows who holds the lock and asks; --yes does not ask, and without a terminal it is required. A
lock that has changed hands since it was shown is left alone.

--json prints { key, released, lock } with the lock as "locks --json" has it.`,
  options: { ...PREFIX_OF_KEY, ...CHANGING },
  namesOne: true,
  keys: LOCK.keys,

  async run({ given, positionals: [key], held }) {
    const session = await connected(given, held)
    const keyPrefix = given['key-prefix']
    const found = await locks.one(session, key)
    if (found === undefined) throw await absent(LOCK, session, key, given)
    const lock = lockOf({ ...found, key, keyPrefix }, given)
    if (!given.yes) await ask(KINDS.release, key, found)
    // A waiter may have the lock already. So a lock that is held again does not show whether it was freed.
    const now = (await release(session, { key, keyPrefix, owner: lock.owner }))
      ? undefined
      : await locks.one(session, key)
    if (given.json) process.stdout.write(`${json({ key, released: now === undefined, lock }, 2)}\n`)
    if (now !== undefined)
      throw new Problem(FAILED, `'${key}' was not released: it has just been taken by ${visible(now.owner)}`)
    if (!given.json) process.stdout.write(`Released '${visible(key)}', which was ${visible(lock.owner)}'s.\n`)
    return FINE
  },
}
