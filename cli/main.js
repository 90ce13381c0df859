// @ts-check
// `goscope-postgres <command>`: finds the command, runs it, and ends with an exit code for the outcome.
'use strict'

const { adviceFor, describe, problemOf } = require('./advice.js')
const { COMMANDS } = require('./commands.js')
const { helpOf, overview } = require('./help.js')
const { nearest } = require('./nearest.js')
const { COMMON, CONNECTING, SHOWING, WATCHING, limitOf, number, parse } = require('./options.js')
const { output, tell } = require('./output.js')
const { FINE, misuse } = require('./problem.js')
const { whileSlow } = require('./progress.js')
const { endOnFailedOutput } = require('./streams.js')
const { watch } = require('./watch.js')

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
  const [name, ...rest] = args
  if (name === undefined) {
    tell(overview())
    throw misuse('which command?')
  }
  if (name === '--version' || name === '-v') return say(`${require('../package.json').version}\n`)
  if (name === '--help' || name === '-h') return say(overview())
  if (name === 'help') return say(rest[0] === undefined ? overview() : helpOf(find(rest[0])))
  const command = find(name)
  const options = optionsOf(command)
  const { given, positionals } = parse(rest, options)
  if (given.help) return say(helpOf(command))
  const takes = command.takes ?? []
  if (positionals.length !== takes.length) {
    const wanted = takes.length === 0 ? 'no argument' : takes.join(' ')
    throw misuse(`${command.name} takes ${wanted}`, `See: goscope-postgres ${command.name} --help`)
  }
  // Everything that can be checked without a server.
  limitOf(given)
  command.check?.(given)
  if (command.run) return command.run({ given, positionals, held })
  return await inspect(command, given, held)
}

/** @param {string} text */
function say(text) {
  process.stdout.write(text)
  return FINE
}

/** @param {string} name */
function find(name) {
  const command = COMMANDS.find((each) => each.name === name)
  if (command) return command
  const close = nearest(
    name,
    COMMANDS.map((each) => each.name),
  )
  const hint = close === undefined ? 'See: goscope-postgres --help' : `Did you mean '${close}'?`
  throw misuse(`there is no command '${name}'`, hint)
}

/** @param {Command} command */
const optionsOf = (command) => ({
  ...command.options,
  ...(command.look && SHOWING),
  ...(command.look && command.isWatched !== false && WATCHING),
  ...(command.connects !== false && CONNECTING),
  ...COMMON,
})

/**
 * A command that reads and shows: once, or repeatedly.
 *
 * @param {Command} command
 * @param {Given} given
 * @param {{ session?: import('./session.js').Session }} held
 */
async function inspect(command, given, held) {
  const { look } = command
  if (!look) throw new Error(`${command.name} does nothing`)
  const interval = number(given, 'watch', 0, { min: 0.1, max: 86_400 })
  const { Session } = require('./session.js')
  const session = new Session(given)
  held.session = session
  if (!command.reachesItself) await whileSlow('Connecting', session.reach())
  if (interval > 0) return watch(command, session, given, interval)
  const found = await whileSlow('Waiting for the server', look(session, given))
  output(command, found, given)
  return command.exitCode?.(found.data) ?? FINE
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
  tell(`goscope-postgres: ${message}\n${advice ? `  ${advice}\n` : ''}`)
  if (isVerbose) tell(`${error?.stack}\n`)
  return problem?.exitCode ?? 1
}

module.exports = { main }
