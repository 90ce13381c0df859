// @ts-check
'use strict'

const os = require('node:os')
const util = require('node:util')

/**
 * The names that this platform has for the errors of its system, by number: those that Node's own network errors carry. Of
 * two names for one number (EAGAIN, EWOULDBLOCK) Node's choice counts.
 *
 * @returns {Record<number, string>}
 */
function systemErrors() {
  /** @type {Record<number, string>} */
  const names = {}
  for (const [name, number] of Object.entries(os.constants.errno)) {
    // The errors of Windows' sockets have names of their own there, which libuv knows without the prefix.
    const isOfSocket = name.startsWith('WSAE')
    const plain = isOfSocket ? name.slice(3) : name
    if (isOfSocket || names[number] === undefined) names[number] = isOfSocket ? plain : nodes(number, plain)
  }
  return names
}

/**
 * @param {number} number
 * @param {string} name
 */
function nodes(number, name) {
  if (process.platform === 'win32') return name
  try {
    // Other runtimes have no such function, or no such name.
    const found = util.getSystemErrorName(-number)
    return /^E[A-Z0-9]+$/.test(found) ? found : name
  } catch {
    return name
  }
}

module.exports = { systemErrors }
