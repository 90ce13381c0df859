// @ts-check
// Builds the documentation site from docs/, and serves it. What that needs has its own package.json in docs/, and is installed
// there on first use.
//
//   npm run docs                builds, and serves on 127.0.0.1 until Ctrl-C; --port=8080 for another port than 4173
//   npm run docs -- --build     only builds, to docs/.vitepress/dist; DOCS_BASE is the path below which it is published
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { parseArgs } = require('node:util')

const docs = path.join(__dirname, '..', 'docs')
const built = path.join(docs, '.vitepress', 'dist')

/** @typedef {'all' | 'failures'} Shown what is shown of the output of npm and VitePress */

/** @type {Record<string, string>} */
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

/**
 * Installs what docs/package-lock.json names, unless that has been done.
 *
 * @param {Shown} shown
 */
function install(shown) {
  const lock = fs.readFileSync(path.join(docs, 'package-lock.json'))
  const installed = path.join(docs, 'node_modules', '.installed-lock.json')
  if (fs.existsSync(installed) && fs.readFileSync(installed).equals(lock)) return
  run('npm', ['ci', '--prefix', docs], shown)
  fs.writeFileSync(installed, lock)
}

/**
 * @param {object} [options]
 * @param {string} [options.out] the folder that the site is written to
 * @param {string} [options.base] the path below which it is published
 * @param {Shown} [options.shown]
 */
function build({ out = built, base = process.env.DOCS_BASE ?? '/', shown = 'all' } = {}) {
  install(shown)
  const vitepress = path.join(docs, 'node_modules', 'vitepress', 'bin', 'vitepress.js')
  run(process.execPath, [vitepress, 'build', docs, '--outDir', out], shown, { DOCS_BASE: base })
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {Shown} shown
 * @param {Record<string, string>} [env]
 */
function run(program, args, shown, env = {}) {
  const { status, error, output } = spawnSync(program, args, {
    env: { ...process.env, ...env },
    shell: process.platform === 'win32' && program === 'npm',
    stdio: shown === 'all' ? 'inherit' : 'pipe',
  })
  if (status === 0) return
  throw error ?? new Error(`${[program, ...args].join(' ')} failed\n${(output ?? []).filter(Boolean).join('')}`)
}

/**
 * @param {string} folder
 * @param {number} port 0 for a free one
 * @returns {Promise<{ url: string, close: () => void }>}
 */
function serve(folder, port) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const name = path.join(folder, path.normalize(decodeURIComponent(pathname)))
    const file = [name, path.join(name, 'index.html'), `${name}.html`].find((each) => isFile(each))
    const isWithin = file?.startsWith(folder + path.sep) ?? false
    const found = file && isWithin ? file : path.join(folder, '404.html')
    response.writeHead(file && isWithin ? 200 : 404, { 'content-type': TYPES[path.extname(found)] ?? 'text/plain' })
    fs.createReadStream(found).pipe(response)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = /** @type {import('node:net').AddressInfo} */ (server.address())
      resolve({ url: `http://127.0.0.1:${address.port}/`, close: () => server.close() })
    })
  })
}

/** @param {string} file */
const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false

async function main() {
  const { values } = parseArgs({ options: { build: { type: 'boolean' }, port: { type: 'string' } } })
  build()
  if (values.build) return console.log(`The site is in ${path.relative(process.cwd(), built)}`)
  const { url } = await serve(built, Number(values.port ?? 4173))
  console.log(`The site is at ${url} until Ctrl-C`)
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}

module.exports = { build, docs, install, serve }
