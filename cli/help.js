// @ts-check
'use strict'

const { COMMANDS, subcommands } = require('./commands.js')
const { COMMON, CONNECTING, SHOWING, WATCHING } = require('./options.js')

/** @typedef {import('./commands.js').Command} Command */
/** @typedef {import('./options.js').Options} Options */

const EXIT_CODES = `Exit codes:
  0  fine
  1  a check failed, what was asked for is not there, or the server refused
  2  wrong usage; also if a question would have to be asked, and there is no terminal
  3  the server cannot be reached, or refuses the connection
`

const ENVIRONMENT = `Connects as the adapters do: --url, or else DATABASE_URL, or else PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE,
PGOPTIONS, PGSSLMODE and the password file. Others can see what stands on a command line: a password is better
left to the environment or to that file. NO_COLOR and FORCE_COLOR are heeded.
`

const overview = () => `Usage: goscope-postgres <command> [options]

Shows, and mends, what goscope-postgres keeps on a PostgreSQL server.

${COMMANDS.map(lineOf).join('')}
  goscope-postgres <command> --help says more. Options may stand before and behind the command; -- ends them.

${ENVIRONMENT}
${EXIT_CODES}`

/** @param {Command} command */
function helpOf(command) {
  const { name, isAlso, takes = [] } = command
  const words = isAlso === undefined ? [name] : [name, `[${isAlso.slice(name.length + 1)}]`]
  const usage = ['goscope-postgres', ...words, ...takes, '[options]'].join(' ')
  const groups = [
    [
      'Options',
      {
        ...command.options,
        ...(command.look && SHOWING),
        ...(command.isWatched !== false && command.look && WATCHING),
      },
    ],
    ['Connecting', command.connects === false ? {} : CONNECTING],
    ['Others', COMMON],
  ]
  const options = groups
    .filter(([, group]) => Object.keys(group).length > 0)
    .map(([title, group]) => `${title}:\n${describe(/** @type {Options} */ (group))}\n`)
  const details = command.details === undefined ? '' : `\n${command.details.trim()}\n`
  return `Usage: ${usage}\n\n${command.summary[0].toUpperCase()}${command.summary.slice(1)}.\n${details}\n${groupOf(command)}${options.join('')}${EXIT_CODES}`
}

/** What else a group has. @param {Command} command */
function groupOf({ name }) {
  const others = subcommands(name).flatMap(({ word }) => {
    const entry = COMMANDS.find((each) => each.name === `${name} ${word}`)
    return entry === undefined ? [] : [entry]
  })
  return others.length === 0 ? '' : `Subcommands:\n${others.map(lineOf).join('')}\n`
}

/** @param {import('./commands.js').Entry} entry */
const lineOf = ({ name, takes = [], summary }) => `  ${[name, ...takes].join(' ').padEnd(27)}${summary}\n`

/** @param {Options} options */
const describe = (options) =>
  Object.entries(options)
    .map(([name, { short, value, help }]) => {
      const long = value === undefined ? `--${name}` : `--${name} ${value}`
      return `  ${`${short ? `-${short}, ` : '    '}${long}`.padEnd(32)}${help}\n`
    })
    .join('')

module.exports = { helpOf, overview }
