// @ts-check
// The command `goscope-postgres` as a child process: with pipes, or on a terminal of its own.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const path = require('node:path')

const program = path.join(__dirname, '../../bin/goscope-postgres.js')

/** Far longer than any stall. It ends only a command that hangs. */
const LIFETIME_MS = 60_000

/** Variables that would redirect the command, or colour its output. */
const NEUTRAL = { DATABASE_URL: undefined, FORCE_COLOR: undefined, NO_COLOR: undefined, PGOPTIONS: undefined }

/**
 * @typedef {{ code: number | null, signal: string | null, stdout: string, stderr: string }} Ended
 */

/**
 * @param {string[]} args
 * @param {Record<string, string | undefined>} [env]
 * @param {{ input?: string, lifetimeMs?: number }} [options]
 */
function startCommand(args, env = {}, { input, lifetimeMs } = {}) {
  return follow(
    spawn(process.execPath, [program, ...args], {
      env: { ...process.env, ...NEUTRAL, ...env },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    }),
    input,
    lifetimeMs,
  )
}

/**
 * Runs the command to its end.
 *
 * @param {Parameters<typeof startCommand>} given
 */
const runCommand = (...given) => startCommand(...given).ended

/** Why no terminal is available, for a test's `skip`; false if one is. */
const noTerminal =
  spawnSync('python3', ['-c', 'import pty']).status === 0 && process.platform !== 'win32'
    ? false
    : 'python3 with its module pty is not installed (Debian: apt-get install python3)'

// Copies the terminal's output to stdout, and stdin to its keyboard.
const PTY = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

/**
 * The command on a terminal. stdout shows everything that is written to the terminal.
 *
 * @param {string[]} args
 * @param {Record<string, string | undefined>} [env]
 * @param {{ columns?: number, rows?: number }} [size]
 */
const startOnTerminal = (args, env, size) => startProgramOnTerminal([process.execPath, program, ...args], env, size)

/**
 * Another program on a terminal, such as a shell.
 *
 * @param {string[]} words
 * @param {Record<string, string | undefined>} [env]
 * @param {{ columns?: number, rows?: number }} [size]
 */
function startProgramOnTerminal(words, env = {}, { columns = 80, rows = 24 } = {}) {
  const shell = ['sh', '-c', `stty cols ${columns} rows ${rows}; exec "$@"`, 'sh', ...words]
  const child = spawn('python3', ['-c', PTY, ...shell], {
    env: { ...process.env, ...NEUTRAL, TERM: 'xterm-256color', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin } = child
  return { ...follow(child), type: (/** @type {string} */ keys) => stdin.write(keys) }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} [input]
 * @param {number} [lifetimeMs]
 */
function follow(child, input, lifetimeMs = LIFETIME_MS) {
  const output = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (data) => (output.stdout += data))
  child.stderr?.setEncoding('utf8').on('data', (data) => (output.stderr += data))
  if (input !== undefined) child.stdin?.end(input)
  const impatience = setTimeout(() => child.kill('SIGKILL'), lifetimeMs)
  /** @type {Promise<Ended>} */
  const ended = new Promise((resolve) =>
    child.once('close', (code, signal) => {
      clearTimeout(impatience)
      resolve({ code, signal, ...output })
    }),
  )
  return { child, ended, output }
}

module.exports = { noTerminal, program, runCommand, startCommand, startOnTerminal, startProgramOnTerminal }
