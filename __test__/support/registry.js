// @ts-check
// A registry on loopback that contains this package as it would be published. All other packages come from the registry
// that npm is configured with.
'use strict'

const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { stagePlatform, stageRoot } = require('../../scripts/release/stage.js')
const { PLATFORMS } = require('../../scripts/platforms.js')
const { run, succeed, temporaryFolder } = require('./consumer.js')
const { fetched } = require('../../scripts/fetched.js')
const { released } = require('./released.js')
const { until } = require('./waiting.js')

/** Unchanged, it does not install: one of its dependencies depends on a version of node-fetch that does not exist. */
const verdaccio = () => path.join(fetched('verdaccio@6.8.0', { overrides: { 'node-fetch': '2.7.0' } }), 'bin/verdaccio')

/**
 * @typedef {object} Registry
 * @property {string} url
 * @property {string} folder the published packages
 * @property {string} npmrc the credentials for publishing
 */

/**
 * The registry that the runner shares among test files, or one of this file's own.
 *
 * @returns {Promise<Registry>}
 */
async function publishedRegistry() {
  const shared = process.env.GOSCOPE_TEST_REGISTRY
  if (shared) return JSON.parse(shared)
  const url = await startRegistry()
  const folder = temporaryFolder()
  const { platform, addon } = await released()
  stageRoot(path.join(folder, 'root'))
  // Package managers look at all of them before they choose one. The others lack the addon here, but nothing else.
  const none = path.join(temporaryFolder(), 'none')
  fs.writeFileSync(none, 'This is a stand-in for the addon of another platform.\n')
  for (const each of PLATFORMS) {
    stagePlatform(each, path.join(folder, each.name), each.name === platform ? addon : none)
  }
  const npmrc = path.join(temporaryFolder(), 'npmrc')
  fs.writeFileSync(npmrc, `${url.replace('http:', '')}/:_authToken=${await register(url)}\n`)
  await publish({ url, folder, npmrc })
  return { url, folder, npmrc }
}

/**
 * Publishes with the release's own script.
 *
 * @param {Registry} registry
 */
function publish({ url, folder, npmrc }) {
  const script = path.join(__dirname, '../../scripts/release/publish.js')
  const env = { ...process.env, NPM_CONFIG_USERCONFIG: npmrc }
  return succeed(run(process.execPath, [script, folder, `--registry=${url}`], { env, cwd: folder }), 'publishing')
}

/** Starts the registry. Resolves to its URL. The registry ends with the process. */
async function startRegistry() {
  const folder = temporaryFolder()
  const upstream = execFileSync('npm', ['config', 'get', 'registry'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  }).trim()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const configuration = {
    storage: path.join(folder, 'storage'),
    auth: { htpasswd: { file: path.join(folder, 'users') } },
    uplinks: { upstream: { url: upstream } },
    packages: {
      'goscope-postgres*': { access: '$all', publish: '$authenticated' },
      '**': { access: '$all', proxy: 'upstream' },
    },
    web: { enable: false },
    max_body_size: '100mb',
    log: { type: 'stdout', format: 'json', level: 'error' },
  }
  // JSON is YAML.
  const file = path.join(folder, 'config.yaml')
  fs.writeFileSync(file, JSON.stringify(configuration))
  const server = serve([verdaccio(), '--config', file, '--listen', `127.0.0.1:${port}`], { cwd: folder })
  await until('the registry to answer', async () => {
    server.mustRun()
    return fetch(`${url}/-/ping`).then(
      (response) => response.ok,
      () => false,
    )
  })
  return url
}

/**
 * Starts a server in Node that ends with this process at the latest, and does not keep the process alive.
 *
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 */
function serve(args, options) {
  const preload = ['--require', path.join(__dirname, 'ends-with-parent.js')]
  const server = spawn(process.execPath, [...preload, ...args], { ...options, stdio: 'pipe' })
  let output = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (data) => (output += data))
  // Before the removal of the folders that it writes to.
  process.prependListener('exit', () => server.kill('SIGKILL'))
  for (const handle of [server, server.stdin, server.stdout, server.stderr]) /** @type {any} */ (handle).unref()
  return {
    mustRun() {
      if (server.exitCode !== null) throw new Error(`${args[0]} ended with ${server.exitCode}:\n${output}`)
    },
  }
}

/**
 * A user who may publish.
 *
 * @param {string} url
 * @returns {Promise<string>} the token
 */
async function register(url) {
  const name = 'release'
  const response = await fetch(`${url}/-/user/org.couchdb.user:${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, password: 'of a registry that is gone in a minute' }),
  })
  const { token } = /** @type {any} */ (await response.json())
  if (!token) throw new Error(`the registry gave no token: ${response.status}`)
  return token
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address())
      server.close(() => resolve(port))
    })
  })
}

module.exports = { freePort, publish, publishedRegistry, serve }
