// @ts-check
'use strict'

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {string} summary
 * @property {string[]} [takes] its arguments
 * @property {string} [details]
 * @property {import('./options.js').Options} [options]
 * @property {(given: import('./options.js').Given) => void} [check] throws if the options are invalid
 * @property {boolean} [connects] unless false
 * @property {boolean} [isWatched] unless false
 * @property {boolean} [reachesItself] that the server cannot be reached is a thing to show, too
 * @property {(session: import('./session.js').Session, given: import('./options.js').Given) =>
 *   Promise<import('./output.js').Found>} [look] what `--json` prints
 * @property {(data: any, view: import('./view.js').View, given: import('./options.js').Given) => string} [show] that, for people
 * @property {(data: any) => number} [exitCode]
 * @property {(asked: Asked) => Promise<number>} [run] in place of looking and showing
 *
 * @typedef {object} Asked
 * @property {import('./options.js').Given} given
 * @property {string[]} positionals
 * @property {{ session?: import('./session.js').Session }} held what is closed when the command is over
 */

/** @type {Command[]} */
const COMMANDS = [
  require('./commands/status.js'),
  require('./commands/locks.js'),
  require('./commands/circuits.js'),
  require('./commands/checkpoints.js'),
  require('./commands/cache.js'),
  require('./commands/release.js'),
  require('./commands/doctor.js'),
  require('./commands/ui.js'),
  require('./commands/schema.js'),
]

module.exports = { COMMANDS }
