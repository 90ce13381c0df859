// @ts-check
'use strict'

const SQLSTATE = /^[0-9A-Z]{5}$/

/**
 * The server's error, in the error of a driver or of a library above it. Those that have an error of their own keep the
 * server's in it.
 *
 * @param {any} error
 * @returns {{ code: string, bearer: any } | undefined} its SQLSTATE, and the object that has it
 */
function serverErrorOf(error) {
  // Prisma's own codes look like SQLSTATEs, so what is within comes first.
  const places = [error?.meta?.driverAdapterError?.cause, error?.meta, error?.cause, error]
  for (const bearer of places) {
    const code = bearer?.originalCode ?? bearer?.code
    if (typeof code === 'string' && SQLSTATE.test(code)) return { code, bearer }
  }
  return undefined
}

module.exports = { serverErrorOf }
