// @ts-check
'use strict'

const readline = require('node:readline')
const { tell } = require('./output.js')
const { FAILED, Problem, misuse } = require('./problem.js')
const { visible } = require('./text.js')

/**
 * Asks on the terminal. Any answer but a yes is a no, including an end of input and Ctrl-C.
 *
 * @param {string} question
 * @returns {Promise<boolean>}
 */
function confirm(question) {
  const asking = readline.createInterface({ input: process.stdin, output: process.stderr })
  return new Promise((answer) => {
    asking.once('close', () => answer(false))
    asking.question(`${question} [y/N] `, (said) => {
      answer(/^\s*y(es)?\s*$/i.test(said))
      asking.close()
    })
  })
}

/**
 * Shows what a change does, and asks whether to make it. Throws if it is not to be made.
 *
 * @param {import('./row-changes.js').Kind} kind
 * @param {string} key
 * @param {any} row
 */
async function ask({ button, done, will }, key, row) {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw misuse(
      `there is no terminal to ask whether to ${button.toLowerCase()} '${key}'`,
      'To do it without a question: --yes',
    )
  }
  tell([`'${visible(key)}'`, ...will(row).map((sentence) => `  ${visible(sentence)}`), ''].join('\n'))
  if (!(await confirm(`${button} it?`))) throw new Problem(FAILED, `not ${done.toLowerCase()}`)
}

module.exports = { ask }
