// @ts-check
'use strict'

const readline = require('node:readline')

/**
 * Asks on the terminal. Anything but a yes, an end of input and Ctrl-C among it, is a no.
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

module.exports = { confirm }
