// @ts-check
// A process that measures one thing, and says lines of JSON: what it has got so far, and at last the result.
'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

/**
 * @param {string} name of a file in programs/
 * @param {string[]} args
 * @param {(news: any) => void} [tell]
 * @returns {Promise<any>} its result
 */
async function runProgram(name, args, tell = () => {}) {
  const program = path.join(__dirname, 'programs', name)
  const child = spawn(process.execPath, ['--expose-gc', program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  let result
  readline.createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line)
    if ('result' in said) result = said.result
    else tell(said)
  })
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => resolve(signal ?? status))
  })
  running.delete(child)
  if (code !== 0 || result === undefined) throw new Error(`${name} ${args.join(' ')} ended with ${code}`)
  return result
}

// Whatever becomes of the benchmark, nothing goes on without it.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

module.exports = { runProgram }
