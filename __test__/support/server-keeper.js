// @ts-check
// Restarts a server that has crashed, on the data that it left. Shuts it down when its standard input ends, so no
// server outlives the tests, however these end.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')

/** @type {{ program: string, args: string[], env: Record<string, string>, cwd: string, uid: number, gid: number, log: string }} */
const { program, args, log, ...options } = JSON.parse(/** @type {string} */ (process.argv[2]))

process.on('SIGINT', () => {})
const output = fs.openSync(log, 'a')
const server = spawn(program, args, { ...options, stdio: ['ignore', output, output] })
server.on('error', () => process.exit(1)).on('exit', () => process.exit(0))
process.stdout.write(`${server.pid}\n`)
process.stdin.on('end', () => server.kill('SIGQUIT')).resume()
