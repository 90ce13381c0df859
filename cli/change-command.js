// @ts-check
// What the commands that change one row have in common: they show what the change does, ask, and change exactly that.
'use strict'

const { KINDS, change } = require('./row-changes.js')
const { ask } = require('./confirm.js')
const { json } = require('./json.js')
const { PREFIX_OF_KEY } = require('./options.js')
const { FINE } = require('./problem.js')
const { whileSlow } = require('./progress.js')
const { absent } = require('./subjects.js')
const { visible } = require('./text.js')

/**
 * @typedef {import('./session.js').Session} Session
 * @typedef {import('./options.js').Given} Given
 */

/** @type {import('./options.js').Options} */
const CHANGING = {
  yes: { type: 'boolean', short: 'y', help: 'without asking' },
  json: { type: 'boolean', help: 'for programs' },
}

/**
 * @param {string} name of a kind of changes in cli/row-changes.js
 * @param {string} field the name under which `--json` prints the row as it was
 * @param {import('./subjects.js').Subject} subject
 * @returns {import('./commands.js').Action}
 */
const changing = (name, field, subject) => ({
  options: { ...PREFIX_OF_KEY, ...subject.options, ...CHANGING },
  namesOne: true,
  keys: subject.keys,

  async run({ given, positionals: [key], held }) {
    const session = await connected(given, held)
    const keyPrefix = given['key-prefix']
    const kind = KINDS[name]
    const wanted = { kind: name, table: given.table, name: { key, keyPrefix }, storedKey: '' }
    wanted.storedKey = await session.storedKey(kind.source(wanted), key)
    const row = await kind.find(session, wanted)
    if (row === undefined) throw await absent(subject, session, key, given)
    if (!given.yes) await ask(kind, key, row)
    const { done } = await change(session, wanted, kind.seen(row))
    const before = subject.record({ ...row, key }, given)
    const text = given.json
      ? json({ key, [done.toLowerCase()]: true, [field]: before }, 2)
      : `${done} the ${subject.noun} '${visible(key)}'.`
    process.stdout.write(`${text}\n`)
    return FINE
  },
})

/**
 * @param {Given} given
 * @param {{ session?: Session }} held
 */
async function connected(given, held) {
  const { Session } = require('./session.js')
  const session = new Session(given)
  held.session = session
  await whileSlow('Connecting', session.reach())
  return session
}

module.exports = { CHANGING, changing, connected }
