// @ts-check
// Repeats a command: in place on a terminal, one after the other elsewhere.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { describe, isRefusal } = require('./advice.js')
const { tellLine, viewOf } = require('./output.js')
const { Screen } = require('./screen.js')
const { json } = require('./json.js')
const { visible } = require('./text.js')
const { FINE } = require('./problem.js')

/**
 * @typedef {import('./commands.js').Command} Command
 * @typedef {Omit<Command, 'look'> & { look: () => Promise<import('./output.js').Found> }} Watched
 */

/**
 * Runs until the user presses Ctrl-C. That is the normal end of watching, and so counts as success.
 *
 * @param {Watched} command
 * @param {import('./options.js').Given} given
 * @param {number} seconds
 */
async function watch(command, given, seconds) {
  const show = given.json
    ? jsonLines()
    : process.stdout.isTTY
      ? inPlace(command, given, seconds)
      : appending(command, given)
  const ended = new AbortController()
  // The terminal is restored at once: a read may still wait for the server, and another signal then ends the process.
  const end = () => {
    ended.abort()
    show.end()
  }
  for (const signal of ENDING) process.once(signal, end)
  try {
    while (!ended.signal.aborted) {
      const frame = await lookAt(command)
      if (ended.signal.aborted) break
      show.frame(frame)
      await sleep(seconds * 1000, undefined, { signal: ended.signal }).catch(() => {})
    }
  } finally {
    for (const signal of ENDING) process.off(signal, end)
    show.end()
  }
  return FINE
}

/** @type {NodeJS.Signals[]} */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * @typedef {{ data?: any, notes?: string[], failure?: string }} Frame
 * @typedef {{ frame: (frame: Frame) => void, end: () => void }} Show
 */

/**
 * A server that is unreachable may come back: a user watches for that. A server that refuses will refuse again.
 *
 * @param {Watched} command
 * @returns {Promise<Frame>}
 */
async function lookAt(command) {
  try {
    return await command.look()
  } catch (error) {
    if (isRefusal(error) || /** @type {any} */ (error).code === undefined) throw error
    return { failure: describe(error) }
  }
}

/** @returns {Show} */
const jsonLines = () => ({
  frame: ({ data, failure }) =>
    failure === undefined ? void process.stdout.write(`${json(data)}\n`) : complain(failure),
  end() {},
})

/**
 * @param {Watched} command
 * @param {import('./options.js').Given} given
 * @returns {Show}
 */
function appending(command, given) {
  const view = viewOf()
  return {
    frame({ data, notes = [], failure }) {
      if (failure !== undefined) return complain(failure)
      process.stdout.write(`${new Date().toISOString()}\n${command.show?.(data, view, given)}\n`)
      for (const note of notes) tellLine(note)
    },
    end() {},
  }
}

/** @param {string} failure */
function complain(failure) {
  tellLine(`goscope-postgres: ${failure}; trying again`)
}

/**
 * @param {Watched} command
 * @param {import('./options.js').Given} given
 * @param {number} seconds
 * @returns {Show}
 */
function inPlace(command, given, seconds) {
  const screen = new Screen(process.stdout)
  const view = viewOf()
  let body = ''
  return {
    frame({ data, notes = [], failure }) {
      view.width = process.stdout.columns
      if (failure === undefined) {
        view.nextFrame()
        body = `${command.show?.(data, view, given)}${notes.map((note) => `${visible(note)}\n`).join('')}`
      }
      const said = failure === undefined ? `every ${seconds} s` : view.paint(visible(`${failure}; trying again`), 'red')
      const title = view.paint(`goscope-postgres ${command.name}`, 'bold')
      screen.draw(`${title}  ${new Date().toLocaleTimeString()}  ${said}  (Ctrl-C ends)\n\n${body}`)
    },
    end: () => screen.leave(),
  }
}

module.exports = { watch }
