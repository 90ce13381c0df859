// @ts-check
// The command line: which words are the command, which are options, and what is left.
'use strict'

const { parseArgs } = require('node:util')
const { nearest } = require('./nearest.js')
const { misuse } = require('./problem.js')

/**
 * @typedef {import('./options.js').Given} Given
 * @typedef {import('./options.js').Options} Options
 */

const DEFAULT_INTERVAL = '2'

/**
 * @param {string[]} args
 * @param {Options} options
 * @returns {{ given: Given, positionals: string[] }}
 */
function parse(args, options) {
  try {
    const { values, positionals } = parseArgs({ ...configuration(args, options), strict: true })
    return { given: values, positionals }
  } catch (error) {
    // Node's own message, without its unrequested advice.
    throw misuse(/** @type {Error} */ (error).message.split(/\.\s/)[0], hintOf(error, options))
  }
}

/**
 * The first word that is neither an option nor its value, and the words without it. Options may stand before it.
 *
 * @param {string[]} args
 * @param {Options} options that may stand there
 * @returns {{ word?: string, rest: string[], unknown?: string }} an unknown option, whose value would be taken for the word
 */
function firstWord(args, options) {
  const given = normalized(args)
  for (const token of tokensOf(given, options)) {
    if (token.kind === 'positional') return { word: token.value, rest: given.filter((_, at) => at !== token.index) }
    if (token.kind === 'option' && !Object.hasOwn(options, token.name)) return { rest: given, unknown: token.rawName }
  }
  return { rest: given }
}

/**
 * What an unfinished line says, as far as it can be told.
 *
 * @param {string[]} args
 * @param {Options} options
 * @returns {{ given: Given, positionals: string[], pending?: string, isEnded: boolean }} `pending`: the option whose value
 *   comes next; `isEnded`: no more options can come
 */
function guess(args, options) {
  const { values, positionals, tokens } = parseArgs({ ...configuration(args, options), strict: false, tokens: true })
  const isString = (/** @type {string} */ name) => options[name]?.type === 'string'
  const last = tokens[tokens.length - 1]
  const isPending = last?.kind === 'option' && isString(last.name) && last.value === undefined
  return {
    // A string option without its value is `true`.
    given: Object.fromEntries(Object.entries(values).filter(([name, value]) => !isString(name) || value !== true)),
    positionals,
    ...(isPending && { pending: last.name }),
    isEnded: tokens.some(({ kind }) => kind === 'option-terminator'),
  }
}

/**
 * @param {string[]} args
 * @param {Options} options
 */
const tokensOf = (args, options) => parseArgs({ ...configuration(args, options), strict: false, tokens: true }).tokens

/**
 * @param {string[]} args
 * @param {Options} options
 */
const configuration = (args, options) => ({
  args: normalized(args),
  allowPositionals: true,
  options: Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple = false }]) => [
      name,
      { type, multiple, ...(short && { short }) },
    ]),
  ),
})

/**
 * What parseArgs does not know, as it knows it: `--watch` alone, and `--watch 5`, as `--watch=SECONDS`; `--sort -size` as
 * `--sort=-size`; `--limit -1` as `--limit=-1`, so that the message about it names the range.
 *
 * @param {string[]} args
 */
function normalized(args) {
  /** @type {string[]} */
  const result = []
  const end = args.includes('--') ? args.indexOf('--') : args.length
  for (let at = 0; at < args.length; at++) {
    const [arg, next] = [args[at], args[at + 1] ?? '']
    if (at < end && (arg === '--watch' || arg === '-w')) {
      const hasValue = /^[\d.]+$/.test(next)
      result.push(`--watch=${hasValue ? args[++at] : DEFAULT_INTERVAL}`)
    } else if (at < end && ((arg === '--sort' && /^-[a-z]+/.test(next)) || takesNegative(arg, next))) {
      result.push(`${arg}=${args[++at]}`)
    } else {
      result.push(arg)
    }
  }
  return result
}

/**
 * No option is a digit.
 *
 * @param {string} arg
 * @param {string} next
 */
const takesNegative = (arg, next) => /^--[a-z][a-z-]*$/.test(arg) && /^-[\d.]/.test(next)

/**
 * @param {any} error of parseArgs
 * @param {Options} options
 */
function hintOf({ code, message }, options) {
  // What to write for a value that begins with a dash.
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') return /^To specify .*$/m.exec(message)?.[0]
  const [, typed] = (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && /'--([\w-]+)/.exec(message)) || []
  const close = typed === undefined ? undefined : nearest(typed, Object.keys(options))
  return close === undefined ? undefined : `Did you mean '--${close}'?`
}

module.exports = { firstWord, guess, parse }
