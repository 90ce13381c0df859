// @ts-check
'use strict'

const { spawn } = require('node:child_process')

/** @type {Record<string, [program: string, ...args: string[]]>} */
const OPENERS = { darwin: ['open'], win32: ['rundll32', 'url.dll,FileProtocolHandler'] }

/**
 * Opens an address in the user's browser.
 *
 * @param {string} url
 * @returns {Promise<Error | undefined>} why that was not possible
 */
function openBrowser(url) {
  const [program, ...args] = OPENERS[process.platform] ?? ['xdg-open']
  return new Promise((resolve) => {
    const child = spawn(program, [...args, url], { stdio: 'ignore', detached: true })
    child.once('error', resolve)
    child.once('spawn', () => {
      child.unref()
      resolve(undefined)
    })
  })
}

module.exports = { openBrowser }
