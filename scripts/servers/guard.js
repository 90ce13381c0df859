// @ts-check
'use strict'

const { spawn } = require('node:child_process')

/**
 * Makes a server end with this process, however the process ends. A shell reads from our pipe, which closes with us,
 * and then sends SIGQUIT. A process that is killed runs no hooks.
 *
 * @template {import('node:child_process').ChildProcess} Child
 * @param {Child} server
 * @returns {Child} the server
 */
function guarded(server) {
  if (server.pid === undefined || process.platform === 'win32') return server
  // A process group of its own: Ctrl-C must not end the shell first.
  const shell = spawn('sh', ['-c', `read -r line; kill -QUIT ${server.pid}`], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  /** @type {any} */
  const pipe = shell.stdin
  for (const each of [shell, pipe]) each.unref()
  // After that, another process may have the same number.
  server.once('exit', () => shell.kill('SIGKILL'))
  return server
}

module.exports = { guarded }
