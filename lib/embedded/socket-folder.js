// @ts-check
// A folder for the server's Unix socket. A socket's path has 107 bytes at most on Linux and 103 on macOS. A deep
// TMPDIR may leave too few.
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const LONGEST_PATH = 103
/** PostgreSQL's name for its lock file beside the socket, on the longest port. */
const LONGEST_NAME = '.s.PGSQL.65535.lock'
/** It exists on every system that has Unix sockets, whatever TMPDIR says. */
const SHORT = '/tmp'

/**
 * The server's own folder if a socket's path fits there, or else a separate one; undefined if neither fits, or there
 * are no Unix sockets.
 *
 * @param {string} folder the server's own
 * @returns {string | undefined}
 */
function makeSocketFolder(folder) {
  if (process.platform === 'win32') return undefined
  if (Buffer.byteLength(path.join(folder, LONGEST_NAME)) <= LONGEST_PATH) return folder
  try {
    return fs.mkdtempSync(path.join(SHORT, 'goscope-postgres-'))
  } catch {
    return undefined
  }
}

module.exports = { makeSocketFolder }
