// @ts-check
'use strict'

/**
 * The password for one connection, found as pg finds it: given, returned by the application's function, or read from
 * the password file. Undefined if there is none, which is no error unless the server requests one.
 *
 * @param {{ host: string, port: number, user: string, database: string, password: unknown }} parameters
 * @param {object} receiver what `this` is to the function
 * @returns {Promise<string | undefined>}
 */
async function passwordFor(parameters, receiver) {
  const given = parameters.password
  if (typeof given === 'function') {
    const password = await given.call(receiver, parameters)
    if (password !== undefined && typeof password !== 'string') throw new TypeError('Password must be a string')
    return password
  }
  if (given != null) return typeof given === 'string' ? given : undefined
  // Loaded only here: it costs more at start than the rest of this folder, and few applications need it.
  // @ts-expect-error pgpass has no types
  const pgpass = require('pgpass')
  return new Promise((found) => pgpass(parameters, found))
}

module.exports = { passwordFor }
