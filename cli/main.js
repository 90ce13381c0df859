// @ts-check
// `goscope-postgres <command>`: finds the command, runs it, and ends with an exit code for the outcome.
'use strict'

const { adviceFor, describe, problemOf } = require('./advice.js')
const { find } = require('./commands.js')
const { helpOf, overview } = require('./help.js')
const { limitOf, number } = require('./options.js')
const { output, tell, tellLine } = require('./output.js')
const { parse } = require('./parse.js')
const { FINE, misuse } = require('./problem.js')
const { endOnFailedOutput } = require('./streams.js')

/** @typedef {import('./commands.js').Command} Command */
/** @typedef {import('./options.js').Given} Given */

/** @param {string[]} args */
async function main(args) {
  endOnFailedOutput()
  process.exitCode = await run(args)
}

/** @param {string[]} args */
async function run(args) {
  /** @type {{ session?: import('./session.js').Session }} */
  const held = {}
  try {
    return await dispatch(args, held)
  } catch (error) {
    return fail(error, held.session?.wasReached ?? false, args.includes('--verbose'))
  } finally {
    await held.session?.close().catch(() => {})
  }
}

/**
 * @param {string[]} args
 * @param {{ session?: import('./session.js').Session }} held
 */
async function dispatch(args, held) {
  if (args[0] === COMPLETE) return say(await require('./completion.js').complete(args[1], args.slice(2), held))
  const { command, options, rest, asksForHelp } = find(args)
  const { given, positionals } = parse(rest, options)
  if (given.version) return say(`${require('../package.json').version}\n`)
  if (asksForHelp && positionals.length > 0) throw misuse('help takes a command', 'See: goscope-postgres --help')
  if (given.help || asksForHelp) return say(command === undefined ? overview() : helpOf(command))
  if (command === undefined) {
    tell(overview())
    throw misuse('which command?')
  }
  const takes = command.takes ?? []
  if (positionals.length !== takes.length) {
    const wanted = takes.length === 0 ? 'no argument' : takes.join(' ')
    throw misuse(`${command.name} takes ${wanted}`, `See: goscope-postgres ${command.name} --help`)
  }
  // Everything that can be checked without a server.
  limitOf(given)
  // As of a variable that is not set: the command must not act on whatever listens on this machine.
  if (given.url === '') throw misuse('--url must not be empty', 'Without it, DATABASE_URL or the PG* variables count.')
  command.check?.(given)
  const all = command.namesOne ? { ...given, 'key-prefix': given['key-prefix'] ?? '' } : given
  if (command.run) return command.run({ given: all, positionals, held })
  return await inspect(command, all, positionals, held)
}

/** Asked by the scripts of cli/completion/, and by no person. */
const COMPLETE = '__complete'

/** @param {string} text */
function say(text) {
  process.stdout.write(text)
  return FINE
}

/**
 * A command that reads and shows: once, or repeatedly.
 *
 * @param {Command} command
 * @param {Given} given
 * @param {string[]} positionals
 * @param {{ session?: import('./session.js').Session }} held
 */
async function inspect(command, given, positionals, held) {
  const { look: read } = command
  if (!read) throw new Error(`${command.name} does nothing`)
  const { whileSlow } = require('./progress.js')
  const interval = number(given, 'watch', 0, { min: 0.1, max: 86_400 })
  const { Session } = require('./session.js')
  const session = new Session({ ...given, goesOn: interval > 0 })
  held.session = session
  if (!command.reachesItself) await whileSlow('Connecting', session.reach())
  const look = () => read(session, given, positionals)
  if (interval > 0) return require('./watch.js').watch({ ...command, look }, given, interval)
  const found = await whileSlow('Waiting for the server', look())
  output(command, found, given)
  return command.exitCode?.(found.data, given) ?? FINE
}

/**
 * @param {any} error
 * @param {boolean} wasReached
 * @param {boolean} isVerbose
 */
function fail(error, wasReached, isVerbose) {
  const problem = problemOf(error, wasReached)
  const message = problem?.message ?? `failed, and should not have: ${describe(error)}. Please report this`
  const advice = problem === undefined ? adviceFor(error) : problem.advice
  tellLine(`goscope-postgres: ${message}`)
  if (advice) tellLine(`  ${advice}`)
  if (isVerbose) tell(`${error?.stack}\n`)
  return problem?.exitCode ?? 1
}

module.exports = { main }
