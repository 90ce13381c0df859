// @ts-check
// Starts a redis-server in a folder of its own, on a free port. When the benchmark ends, however it ends, this process
// notices it, ends the server and removes the folder.
'use strict'

const { spawn } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')

const START_ATTEMPTS = 5

const [program = '', settings = ''] = process.argv.slice(2)
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-redis-'))
const password = crypto.randomBytes(16).toString('hex')

/** @type {import('node:child_process').ChildProcess | undefined} */
let server

async function start() {
  let output = ''
  for (let attempt = 1; attempt <= START_ATTEMPTS; attempt++) {
    const port = await freePort()
    output = await startOn(port)
    if (output === '') return process.send?.({ port, password, pid: server?.pid, folder })
    // Another process may have taken the port between the check and the start.
  }
  throw new Error(`redis-server did not start: ${output}`)
}

/**
 * @param {number} port
 * @returns {Promise<string>} nothing, or what it printed before it ended
 */
function startOn(port) {
  const child = spawn(program, ['-'], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] })
  server = child
  child.stdin.on('error', () => {})
  // Where no other user sees the password.
  child.stdin.end(`bind 127.0.0.1\nport ${port}\ndir "${folder}"\nrequirepass ${password}\n${settings}\n`)
  return new Promise((resolve, reject) => {
    let output = ''
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      output += `${line}\n`
      if (line.includes('Ready to accept connections')) resolve('')
    })
    child.on('error', reject)
    child.on('close', () => resolve(output || 'it printed nothing'))
  })
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (probe.address())
      probe.close(() => resolve(port))
    })
  })
}

async function leave() {
  if (server && server.exitCode === null && server.signalCode === null) {
    const gone = new Promise((resolve) => server?.once('exit', resolve))
    // Nothing of it is kept.
    server.kill('SIGKILL')
    await gone
  }
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  process.exit()
}

process.on('disconnect', leave)
start().catch((error) => process.send?.({ error: error.message }))
