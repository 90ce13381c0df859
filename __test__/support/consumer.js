// @ts-check
// Applications that have the package as users get it: packed, and installed by npm in a folder of their own. The folder
// is outside of the repository, so nothing is found in the repository's node_modules.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { FILE_LIMIT_MS } = require('./waiting.js')

// Shorter than the runner's limit for the file, so that a slow step is reported and the folders are removed.
const RUN_UNTIL = Date.now() + FILE_LIMIT_MS - 20_000

const APPS = path.join(__dirname, '../compatibility/apps')
const PG = 'pg@8.23.1'

const temporary = fs.realpathSync(os.tmpdir())
/** @type {string[]} */
const folders = []
process.on('exit', () => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

/** A folder that is removed when the process ends. */
function temporaryFolder() {
  const folder = fs.mkdtempSync(path.join(temporary, 'goscope-consumer-'))
  folders.push(folder)
  return folder
}

/** The one that the runner shares among test files, or this file's own. */
let packed = process.env.GOSCOPE_TEST_TARBALL && Promise.resolve(process.env.GOSCOPE_TEST_TARBALL)

/** The package's tarball, as `npm pack` makes it. */
function tarball() {
  packed ||= (async () => {
    const folder = temporaryFolder()
    const root = path.join(__dirname, '../..')
    await succeed(npm(['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root }), 'npm pack')
    const [file] = fs.readdirSync(folder)
    return path.join(folder, String(file))
  })()
  return packed
}

class Consumer {
  folder = temporaryFolder()

  /** @param {object} [manifest] what its package.json contains besides its dependencies */
  constructor(manifest) {
    this.write('package.json', JSON.stringify({ name: 'consumer', private: true, ...manifest }))
  }

  /**
   * Installs packages, by the specs that `npm install` takes.
   *
   * @param {string[]} specs
   * @param {string[]} [options] of npm
   */
  async install(specs, options = []) {
    const what = `npm install ${specs.join(' ')} (the tests of consumers install the package from npm, and need it)`
    // Without scripts, to show that none is needed.
    const args = ['install', '--ignore-scripts', '--prefer-offline', '--loglevel=error', '--no-audit', '--no-fund']
    await succeed(npm([...args, ...options, ...specs], { cwd: this.folder }), what)
  }

  /**
   * @param {string} file
   * @param {string} content
   */
  write(file, content) {
    fs.mkdirSync(path.dirname(this.path(file)), { recursive: true })
    fs.writeFileSync(this.path(file), content)
  }

  /**
   * @param {string} file which may exist
   * @param {string} content
   */
  append(file, content) {
    fs.appendFileSync(this.path(file), content)
  }

  /** @param {string[]} parts */
  path(...parts) {
    return path.join(this.folder, ...parts)
  }

  /**
   * Runs Node in its folder. Resolves when the process has ended by itself.
   *
   * @param {string[]} args
   * @param {{ env?: NodeJS.ProcessEnv, runtime?: string }} [options]
   */
  run(args, { env, runtime = process.execPath } = {}) {
    return run(runtime, args, { cwd: this.folder, env: { ...applicationEnv(), ...env } })
  }

  /**
   * The same, but any result except success is an error.
   *
   * @param {string[]} args
   * @param {{ env?: NodeJS.ProcessEnv, runtime?: string }} [options]
   */
  async succeed(args, options) {
    return succeed(this.run(args, options), args.join(' '))
  }
}

/**
 * An application in a clean folder: files of `compatibility/apps`, with the package and the given specs installed.
 *
 * @param {string} app the folder of its files
 * @param {string[]} [specs] what to install besides the package
 */
async function makeConsumer(app, specs = []) {
  const consumer = new Consumer()
  fs.cpSync(path.join(APPS, app), consumer.folder, { recursive: true })
  await consumer.install([await tarball(), ...specs])
  return consumer
}

/** The environment of an application, without the variables that the tests, or npm, have set. */
function applicationEnv() {
  const foreign = /^(npm_|GOSCOPE_|NODE_PATH$|NODE_TEST_CONTEXT$|NODE_OPTIONS$|DATABASE_URL$|PG|FORCE_COLOR$)/i
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)))
  return { ...env, NO_COLOR: '1' }
}

/**
 * @param {string[]} args
 * @param {{ cwd: string }} options
 */
function npm(args, { cwd }) {
  return run('npm', args, { cwd, env: process.env, shell: process.platform === 'win32' })
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<{ code: number | string | null, output: string }>}
 */
function run(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (output += data))
    const impatience = setTimeout(
      () => {
        output += `\n(still running after ${Math.round(process.uptime())} s: killed)`
        child.kill('SIGKILL')
      },
      Math.max(RUN_UNTIL - Date.now(), 0),
    )
    child.once('error', reject)
    child.once('close', (status, signal) => {
      clearTimeout(impatience)
      resolve({ code: signal ?? status, output })
    })
  })
}

/**
 * @param {ReturnType<typeof run>} running
 * @param {string} what
 */
async function succeed(running, what) {
  const { code, output } = await running
  if (code !== 0) throw new Error(`${what} ended with ${code}:\n${output}`)
  return output
}

module.exports = { APPS, Consumer, PG, applicationEnv, makeConsumer, run, succeed, tarball, temporaryFolder }
