// @ts-check
// Package managers: how each one installs from a registry into a folder, and how it then runs a program there.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { APPS, Consumer, PG, applicationEnv, run, succeed, temporaryFolder } = require('./consumer.js')
const { fetched } = require('../../scripts/fetched.js')

/**
 * @typedef {object} PackageManager
 * @property {string} name
 * @property {string[]} [of] the Node versions that it comes with; if absent, it is tested with all
 * @property {() => string} program a script for Node
 * @property {(registry: string) => Record<string, string>} files the files that configure it in a folder
 * @property {string} [settings] its file of settings in YAML
 * @property {string[]} add the arguments before the packages to install
 * @property {string[]} [execute] the arguments before the script, if Node alone would not find packages
 */

const npmrc = (/** @type {string} */ registry) => ({ '.npmrc': `registry=${registry}\n` })
const quiet = ['--no-audit', '--no-fund', '--loglevel=error']

/** @type {PackageManager[]} */
const PACKAGE_MANAGERS = [
  {
    name: 'npm 10.9.9',
    of: ['20', '22'],
    program: () => path.join(fetched('npm@10.9.9'), 'bin/npm-cli.js'),
    files: npmrc,
    add: ['install', ...quiet],
  },
  {
    name: 'npm 11.19.1',
    of: ['24', '26'],
    program: () => path.join(fetched('npm@11.19.1'), 'bin/npm-cli.js'),
    files: npmrc,
    add: ['install', ...quiet],
  },
  {
    name: 'pnpm 10.34.8',
    program: () => path.join(fetched('pnpm@10.34.8'), 'bin/pnpm.cjs'),
    files: npmrc,
    settings: 'pnpm-workspace.yaml',
    add: ['add'],
  },
  {
    name: 'yarn 1.22.22',
    program: () => path.join(fetched('yarn@1.22.22'), 'bin/yarn.js'),
    files: (registry) => ({ '.yarnrc': `registry "${registry}"\n` }),
    add: ['add', '--non-interactive', '--no-progress'],
  },
  {
    // Without node_modules.
    name: 'yarn 4.18.1',
    program: () => path.join(fetched('@yarnpkg/cli-dist@4.18.1'), 'bin/yarn.js'),
    files: (registry) => ({
      '.yarnrc.yml': [
        `npmRegistryServer: ${registry}`,
        'unsafeHttpWhitelist: [127.0.0.1]',
        'enableTelemetry: false',
        'pnpEnableEsmLoader: true',
        'enableGlobalCache: false',
        'npmMinimalAgeGate: 0',
      ].join('\n'),
      'yarn.lock': '',
    }),
    settings: '.yarnrc.yml',
    add: ['add'],
    execute: ['node'],
  },
]

/** @param {string} node a version */
function managersOf(node) {
  return PACKAGE_MANAGERS.filter(({ of }) => !of || of.includes(String(node.split('.')[0])))
}

/**
 * A folder for the PATH that contains a Node and nothing else.
 *
 * @param {string} folder
 * @param {string} node
 */
function onlyNode(folder, node) {
  fs.symlinkSync(node, path.join(folder, 'node'))
  // npm and yarn start programs through a shell.
  fs.symlinkSync('/bin/sh', path.join(folder, 'sh'))
  return folder
}

/**
 * An application in a clean folder, with the package from a registry, of a user who has nothing else installed.
 *
 * @param {string} registry
 * @param {PackageManager} manager
 * @param {string} runtime
 * @param {{ settings?: string, options?: string[] }} [more] additions to its settings and to its arguments
 */
async function installed(registry, manager, runtime, { settings = '', options = [] } = {}) {
  const application = new Consumer()
  fs.cpSync(path.join(APPS, 'plain'), application.folder, { recursive: true })
  for (const [file, content] of Object.entries(manager.files(registry))) application.write(file, content)
  if (manager.settings) application.append(manager.settings, settings)
  const home = temporaryFolder()
  const env = { ...applicationEnv(), HOME: home, PATH: onlyNode(temporaryFolder(), runtime), CI: '1' }
  const cwd = application.folder
  const execute = (/** @type {string[]} */ args, more = {}) =>
    succeed(run(runtime, args, { cwd, env: { ...env, ...more } }), `${manager.name}: ${args.join(' ')}`)
  await execute([manager.program(), ...manager.add, ...options, 'goscope-postgres', PG])
  const node = manager.execute ? [manager.program(), ...manager.execute] : []
  return {
    application,
    node: (/** @type {string[]} */ args, /** @type {NodeJS.ProcessEnv} */ more) => execute([...node, ...args], more),
  }
}

module.exports = { installed, managersOf }
