// @ts-check
// What the scripts in cli/completion/ ask: the words that may stand at the cursor. A failure gives none, and no message,
// which would be written into the line that the user types.
'use strict'

const { find } = require('./commands.js')
const { likeExactly } = require('./options.js')
const { guess } = require('./parse.js')
const { FINE } = require('./problem.js')
const { visible } = require('./text.js')

/**
 * @typedef {import('./options.js').Options} Options
 * @typedef {import('./options.js').Given} Given
 * @typedef {import('./options.js').Keys} Keys
 * @typedef {{ word: string, help?: string }} Candidate
 * @typedef {{ session?: import('./session.js').Session }} Held
 */

/** A user waits for these. */
const PATIENCE_MS = 2_000
const CONNECT_S = '1'
const MOST_KEYS = 200

/** Any of these says where the server is. */
const CONFIGURING = ['DATABASE_URL', 'PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER']

/**
 * @param {string} shell
 * @param {string[]} words behind the program's name, the last of which the cursor is in
 * @param {Held} held
 * @returns {Promise<string>} a line each: a word, and perhaps a tab and what it is
 */
async function complete(shell, words, held) {
  // A connection that hangs would keep the process from its end.
  const late = setTimeout(() => process.exit(FINE), PATIENCE_MS)
  try {
    const [current = '', ...before] = words.map((word, at) => plain(shell, word, at === words.length - 1)).reverse()
    const found = await candidates(before.reverse(), current, held)
    return found
      .filter(({ word }) => word.startsWith(current) && visible(word) === word && isSafe(shell, word))
      .map(({ word, help }) => `${word}${help === undefined ? '' : `\t${help}`}\n`)
      .join('')
  } catch {
    return ''
  } finally {
    clearTimeout(late)
  }
}

/**
 * Whether the escape that the shell writes before each special character keeps the word from being a command. Within
 * backquotes, bash and zsh remove the escape of a backquote first.
 *
 * @param {string} shell
 * @param {string} word
 */
const isSafe = (shell, word) => shell === 'fish' || !word.includes('`')

/**
 * @param {string[]} before
 * @param {string} current
 * @param {Held} held
 * @returns {Promise<Candidate[]>}
 */
async function candidates(before, current, held) {
  const { command, options, rest, next, asksForHelp } = find(before)
  const { given, positionals, pending, isEnded } = guess(rest, options)
  const known = command?.namesOne ? { 'key-prefix': '', ...given } : given
  /**
   * A key that looks like an option would be taken for it where options may stand: `--yes` would release without asking.
   *
   * @param {{ values?: string[], keys?: Keys } | undefined} of
   * @param {string} start
   */
  const valuesOf = async (of, start, maybeOption = !isEnded) => {
    if (of?.values !== undefined || of?.keys === undefined) return of?.values ?? []
    return (await stored(of.keys, known, start, held)).filter((key) => !maybeOption || !key?.startsWith('-'))
  }
  if (pending !== undefined) return wordsOf(await valuesOf(options[pending], current))
  const [, name = '', start = ''] = (!isEnded && /^--([\w-]+)=(.*)$/s.exec(current)) || []
  if (Object.hasOwn(options, name)) {
    return wordsOf(await valuesOf(options[name], start, false)).map(({ word }) => ({ word: `--${name}=${word}` }))
  }
  if (current.startsWith('-') && !isEnded) return optionNames(options, given)
  if (next.length > 0) return asksForHelp ? next.filter(({ word }) => word !== 'help') : next
  if (asksForHelp || positionals.length >= (command?.takes ?? []).length) return []
  return wordsOf(await valuesOf(command, current))
}

/**
 * Those that are not given yet.
 *
 * @param {Options} options
 * @param {Given} given
 */
const optionNames = (options, given) =>
  Object.entries(options)
    .filter(([name, { multiple = false }]) => multiple || given[name] === undefined)
    .map(([name, { help }]) => ({ word: `--${name}`, help }))

/** @param {(string | null)[]} words null for a key of which only the digest is there @returns {Candidate[]} */
const wordsOf = (words) => words.flatMap((word) => (word === null || word.startsWith('\x01') ? [] : [{ word }]))

/**
 * @param {Keys} keys
 * @param {Given} given
 * @param {string} start
 * @param {Held} held
 */
async function stored(keys, given, start, held) {
  if (given.url === undefined && CONFIGURING.every((name) => !process.env[name])) return []
  const { Session } = require('./session.js')
  const session = new Session({ ...given, 'connect-timeout': CONNECT_S })
  held.session = session
  return keys(session, { match: `${likeExactly(start)}%`, limit: MOST_KEYS, given })
}

/**
 * A word without the quotes and backslashes of the shell, as far as the shell has not removed them.
 *
 * @param {string} shell
 * @param {string} word
 * @param {boolean} isCurrent
 */
function plain(shell, word, isCurrent) {
  if (shell === 'zsh' || (shell === 'fish' && !isCurrent)) return word
  return word.replace(/'([^']*)(?:'|$)|"((?:[^"\\]|\\.)*)(?:"|$)|\\(.)/gs, (_, single, double, escaped) => {
    return single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped
  })
}

module.exports = { complete }
