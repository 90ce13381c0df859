// @ts-check
'use strict'

const os = require('node:os')
const util = require('node:util')

/**
 * This platform's names for the errors of its system, by number. Node's own network errors carry these names. If one
 * number has two names (EAGAIN, EWOULDBLOCK), Node's choice counts.
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
