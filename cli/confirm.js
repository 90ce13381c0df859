// @ts-check
'use strict'

const readline = require('node:readline')

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

module.exports = { confirm }
