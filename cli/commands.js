// @ts-check
// The commands. A command's file is loaded only if it runs, so that `--help` and completion are fast.
'use strict'

const { nearest } = require('./nearest.js')
const { COMMON, CONNECTING, LISTING, PREFIX, SHOWING, WATCHING } = require('./options.js')
const { firstWord, parse } = require('./parse.js')
const { misuse } = require('./problem.js')

/**
 * @typedef {object} Entry of the list of commands
 * @property {string} name one word, or that of a group and its own
 * @property {string} summary
 * @property {string[]} [takes] its arguments
 * @property {string} [isAlso] a second name, for the command of a group's own name
 * @property {() => Action} load
 *
 * @typedef {object} Action what a command has and does
 * @property {string} [details]
 * @property {import('./options.js').Options} [options]
 * @property {string[]} [values] those of its argument, for completion
 * @property {import('./options.js').Keys} [keys] those of its argument on the server, for completion
 * @property {boolean} [namesOne] its argument is a key, which without --key-prefix is that of adapters without one
 * @property {(given: import('./options.js').Given) => void} [check] throws if the options are invalid
 * @property {boolean} [connects] unless false
 * @property {boolean} [isWatched] unless false
 * @property {boolean} [reachesItself] that the server cannot be reached is a thing to show, too
 * @property {(session: import('./session.js').Session, given: import('./options.js').Given, positionals: string[]) =>
 *   Promise<import('./output.js').Found>} [look] what `--json` prints
 * @property {(data: any, view: import('./view.js').View, given: import('./options.js').Given) => string} [show] that, for people
 * @property {(data: any, given: import('./options.js').Given) => number} [exitCode]
 * @property {(asked: Asked) => Promise<number>} [run] in place of looking and showing
 *
 * @typedef {Entry & Action} Command
 *
 * @typedef {object} Asked
 * @property {import('./options.js').Given} given
 * @property {string[]} positionals
 * @property {{ session?: import('./session.js').Session }} held what is closed when the command is over
 */

/** @type {Entry[]} */
const COMMANDS = [
  {
    name: 'status',
    summary: 'an overview: server, tables, locks, circuits, connections',
    load: () => require('./commands/status.js'),
  },
  {
    name: 'locks',
    summary: 'who holds what, and for how long',
    isAlso: 'locks list',
    load: () => require('./commands/locks.js'),
  },
  {
    name: 'locks show',
    takes: ['<key>'],
    summary: 'one lock',
    load: () => require('./commands/locks-show.js'),
  },
  {
    name: 'circuits',
    summary: 'circuit breakers, the open ones first',
    isAlso: 'circuits list',
    load: () => require('./commands/circuits.js'),
  },
  {
    name: 'circuits show',
    takes: ['<key>'],
    summary: 'one circuit breaker',
    load: () => require('./commands/circuits-show.js'),
  },
  {
    name: 'circuits reset',
    takes: ['<key>'],
    summary: 'closes a circuit breaker, with no failures',
    load: () => require('./commands/circuits-reset.js'),
  },
  {
    name: 'checkpoints',
    summary: 'how far each task has come',
    isAlso: 'checkpoints list',
    load: () => require('./commands/checkpoints.js'),
  },
  {
    name: 'checkpoints show',
    takes: ['<id>'],
    summary: 'one checkpoint, with its data',
    load: () => require('./commands/checkpoints-show.js'),
  },
  {
    name: 'cache',
    summary: 'how much is cached, and what is largest',
    load: () => require('./commands/cache.js'),
  },
  {
    name: 'cache list',
    summary: 'the cached entries',
    load: () => require('./commands/cache-list.js'),
  },
  {
    name: 'cache show',
    takes: ['<key>'],
    summary: 'one entry, with its value',
    load: () => require('./commands/cache-show.js'),
  },
  {
    name: 'cache delete',
    takes: ['<key>'],
    summary: 'deletes a cached value',
    load: () => require('./commands/cache-delete.js'),
  },
  {
    name: 'idempotency',
    summary: 'idempotent runs: results, and claims of runs under way',
    isAlso: 'idempotency list',
    load: () => require('./commands/idempotency.js'),
  },
  {
    name: 'idempotency claims',
    summary: 'who is at work on what, and for how long',
    load: () => require('./commands/idempotency-claims.js'),
  },
  {
    name: 'idempotency show',
    takes: ['<key>'],
    summary: 'one result, with its value',
    load: () => require('./commands/idempotency-show.js'),
  },
  {
    name: 'idempotency delete',
    takes: ['<key>'],
    summary: 'deletes a result: the next run does the work again',
    load: () => require('./commands/idempotency-delete.js'),
  },
  {
    name: 'release',
    takes: ['<key>'],
    summary: 'frees a lock, also if another process holds it',
    load: () => require('./commands/release.js'),
  },
  {
    name: 'doctor',
    summary: 'checks connection, rights, schema, clocks and settings',
    load: () => require('./commands/doctor.js'),
  },
  {
    name: 'ui',
    summary: 'a web page of all of this, live, on this machine',
    load: () => require('./commands/ui.js'),
  },
  {
    name: 'schema',
    summary: 'prints the SQL that makes the tables, or what of it is missing',
    load: () => require('./commands/schema.js'),
  },
  {
    name: 'completion',
    takes: ['<shell>'],
    summary: 'prints the script with which bash, zsh or fish completes commands',
    load: () => require('./commands/completion.js'),
  },
]

/** The second words of a group's commands. @param {string} group */
const subcommands = (group) =>
  COMMANDS.flatMap(({ name, isAlso = name, summary }) =>
    isAlso.startsWith(`${group} `) ? [{ word: isAlso.slice(group.length + 1), help: summary }] : [],
  )

/** @param {Entry} entry @returns {Command} */
const loaded = (entry) => ({ ...entry, ...entry.load() })

/** @param {Command} command @returns {import('./options.js').Options} */
const optionsOf = (command) => ({
  ...command.options,
  ...(command.look && SHOWING),
  ...(command.look && command.isWatched !== false && WATCHING),
  ...(command.connects !== false && CONNECTING),
  ...COMMON,
})

/**
 * The options of several commands. One of a name takes a value in each of them, or in none.
 *
 * @param {Entry[]} entries
 * @returns {import('./options.js').Options}
 */
const optionsOfAll = (entries) => Object.assign({}, ...entries.map((entry) => optionsOf(loaded(entry))))

/** Those of many commands, which are known without loading one. */
const USUAL = { ...PREFIX, ...LISTING, ...SHOWING, ...WATCHING, ...CONNECTING, ...COMMON }

/**
 * @typedef {object} Found
 * @property {Command} [command] none if the line names none
 * @property {import('./options.js').Options} options of the command
 * @property {string[]} rest of the line
 * @property {boolean} [asksForHelp] the word `help` stands before the command
 * @property {{ word: string, help: string }[]} next the words that may come next to name a command
 */

/**
 * Finds the command that a command line names, and what is left of the line. Options may stand before each word of it.
 *
 * @param {string[]} args
 * @returns {Found}
 */
function find(args) {
  const { word, rest, options } = wordOf(args, [
    () => USUAL,
    // This loads the files of all commands: only if an option before the command is not among the usual ones.
    () => optionsOfAll(COMMANDS),
  ])
  if (word === undefined) return { rest, options, next: firstWords() }
  if (word === HELP.word) return { ...find(rest), asksForHelp: true }
  const known = COMMANDS.find(({ name }) => name === word)
  if (known === undefined) throw unknown(word, firstWords())
  const names = subcommands(word)
  if (names.length === 0) return of(known, rest)
  const group = COMMANDS.filter(({ name }) => name.split(' ')[0] === word)
  const second = wordOf(rest, [() => optionsOf(loaded(known)), () => optionsOfAll(group)])
  if (second.word === undefined) return { ...of(known, rest), next: names }
  if (!names.some((name) => name.word === second.word)) throw unknown(second.word, names, word)
  const full = `${word} ${second.word}`
  return of(
    COMMANDS.find(({ name, isAlso }) => name === full || isAlso === full),
    second.rest,
  )
}

/**
 * @param {Entry | undefined} entry
 * @param {string[]} rest
 * @returns {Found}
 */
function of(entry, rest) {
  const command = loaded(/** @type {Entry} */ (entry))
  return { command, options: optionsOf(command), rest, next: [] }
}

/**
 * The first word, by the first of these sets of options that knows all options before it.
 *
 * @param {string[]} args
 * @param {(() => import('./options.js').Options)[]} sets
 */
function wordOf(args, sets) {
  for (const set of sets) {
    const options = set()
    const { word, rest, unknown } = firstWord(args, options)
    if (unknown === undefined) return { word, rest, options }
    // The last one: this throws.
    if (set === sets[sets.length - 1]) parse([unknown], options)
  }
  throw new Error('parsing an unknown option throws')
}

/** No command: it stands before one. */
const HELP = { word: 'help', help: 'what a command does' }

const firstWords = () => [
  ...COMMANDS.flatMap(({ name, summary }) => (name.includes(' ') ? [] : [{ word: name, help: summary }])),
  HELP,
]

/**
 * @param {string} typed
 * @param {{ word: string }[]} words
 * @param {string} [group]
 */
function unknown(typed, words, group) {
  const names = words.map(({ word }) => word)
  const close = nearest(typed, names)
  const help = ['goscope-postgres', ...(group ? [group] : []), '--help'].join(' ')
  const all = group === undefined ? '' : `There are ${names.join(', ')}. `
  const hint = close === undefined ? `${all}See: ${help}` : `Did you mean '${close}'?`
  return misuse(group === undefined ? `there is no command '${typed}'` : `${group} has no subcommand '${typed}'`, hint)
}

module.exports = { COMMANDS, find, subcommands }
