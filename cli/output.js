// @ts-check
// Writes the results: JSON for programs, tables for people, on stdout; notes on stderr.
'use strict'

const { json } = require('./json.js')
const { visible } = require('./text.js')
const { View, wantsColours } = require('./view.js')

/** @typedef {{ data: any, notes?: string[] }} Found */

/**
 * @param {import('./commands.js').Command} command
 * @param {Found} found
 * @param {import('./options.js').Given} given
 */
function output(command, found, given) {
  process.stdout.write(given.json ? `${json(found.data, 2)}\n` : (command.show?.(found.data, viewOf(), given) ?? ''))
  for (const note of found.notes ?? []) tellLine(note)
}

const viewOf = () =>
  new View({
    colours: wantsColours(process.stdout, process.env),
    width: process.stdout.isTTY ? process.stdout.columns : undefined,
  })

/**
 * Writes to stderr, line by line, in a form that is safe for a terminal: errors quote the data that they are about.
 *
 * @param {string} text
 */
const tell = (text) => process.stderr.write(text.split('\n').map(visible).join('\n'))

/** The same for one line: a line feed in the data begins no other, which would look like a message. @param {string} text */
const tellLine = (text) => tell(`${visible(text.trimEnd())}\n`)

module.exports = { output, tell, tellLine, viewOf }
