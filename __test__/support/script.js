// @ts-check
// A separate process that runs a few lines, with an adapter available: for tests that may end or hang a process.
'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '../..')

/** Far longer than any stall. It ends only a process that hangs. */
const LIFETIME_MS = 120_000

/**
 * Starts the lines. Available: `url`, `pg`, `goscope`, `adapter` (over `pool`), `say` (a line on stdout) and `until`.
 *
 * @param {string} url
 * @param {string} body
 * @param {{ flags?: string[], input?: object, lifetime?: number, application?: string }} [options]
 */
function startScript(url, body, { flags = [], input = {}, lifetime = LIFETIME_MS, application = '' } = {}) {
  const code = `
    const goscope = require('goscope-postgres')
    const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = goscope
    const pg = require('pg')
    const fs = require('node:fs')
    const input = ${JSON.stringify(input)}
    const url = ${JSON.stringify(url)}
    const pool = new pg.Pool({ connectionString: url, max: 4, application_name: ${JSON.stringify(application)} })
    const adapter = new PostgresAdapter(pool)
    const say = (...words) => fs.writeSync(1, JSON.stringify(words.length > 1 ? words : words[0]) + '\\n')
    const sleep = (ms) => new Promise((resume) => setTimeout(resume, ms))
    const until = async (condition) => { while (!(await condition())) await sleep(10) }
    ;(async () => { ${body} })()`
  const child = spawn(process.execPath, [...flags, '-e', code], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => (output.stdout += data))
  child.stderr.on('data', (data) => (output.stderr += data))
  const kill = () => child.kill('SIGKILL')
  const impatience = setTimeout(kill, lifetime)
  // A process whose event loop is blocked does not notice that its parent no longer waits for it.
  process.once('exit', kill)
  /** @type {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string, said: any[] }>} */
  const ended = new Promise((resolve) =>
    child.once('close', (code, signal) => {
      clearTimeout(impatience)
      process.off('exit', kill)
      resolve({ code, signal, ...output, said: linesOf(output.stdout) })
    }),
  )
  return { child, ended, said: () => linesOf(output.stdout) }
}

/** @param {string} text */
const linesOf = (text) =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

/**
 * Runs the lines to their end. They must succeed.
 *
 * @param {Parameters<typeof startScript>} given
 * @returns {Promise<any[]>} what they printed
 */
async function runScript(...given) {
  const { code, signal, said, stderr } = await startScript(...given).ended
  if (code !== 0 || stderr !== '') throw new Error(`the process ended with ${signal ?? code}: ${stderr}`)
  return said
}

module.exports = { runScript, startScript }
