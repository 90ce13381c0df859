// @ts-check
'use strict'

const { spawn } = require('node:child_process')

/**
 * Has a server end with this process, however that ends: a shell reads from a pipe of ours, which ends with us, and then
 * sends SIGQUIT. A process that is killed runs no hooks.
 *
 * @template {import('node:child_process').ChildProcess} Child
 * @param {Child} server
 * @returns {Child} the server
 */
function guarded(server) {
  if (server.pid === undefined || process.platform === 'win32') return server
  // A group of its own: Ctrl-C must not end the shell first.
  const shell = spawn('sh', ['-c', `read -r line; kill -QUIT ${server.pid}`], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  /** @type {any} */
  const pipe = shell.stdin
  for (const each of [shell, pipe]) each.unref()
  // The number may be another's after that.
  server.once('exit', () => shell.kill('SIGKILL'))
  return server
}

module.exports = { guarded }
