// @ts-check
// @configurations last
// @without first: which prebuilt package npm, pnpm and Yarn install
// @package published
// Which platforms' packages are installed if package managers are configured to install others, or none.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { before, test } = require('node:test')
const { Consumer } = require('../support/consumer.js')
const { installed, managersOf } = require('../support/package-managers.js')
const { publishedRegistry } = require('../support/registry.js')
const { released } = require('../support/released.js')
const { missing, node } = require('../support/runtimes.js')

const RUNTIME = '24.21.0'

/** @type {Awaited<ReturnType<typeof publishedRegistry>>} */
let registry
/** @type {string} */
let platform

before(async () => {
  registry = await publishedRegistry()
  platform = (await released()).platform
})

test('installed without optional dependencies, the package reports it', { skip: missing }, async () => {
  for (const manager of managersOf(RUNTIME).filter(({ name }) => /^p?npm/.test(name))) {
    const omit = manager.name.startsWith('npm') ? '--omit=optional' : '--no-optional'
    const { node: inNode } = await installed(registry.url, manager, node(RUNTIME), { options: [omit] })
    await assert.rejects(inNode(['main.cjs'], {}), (error) => {
      return String(error).includes(`the package goscope-postgres-${platform} is not installed`)
    })
  }
})

test('pnpm and Yarn install for the configured platforms', { skip: missing }, async () => {
  const settings = '\nsupportedArchitectures: { os: [linux], cpu: [x64, arm64], libc: [musl] }\n'
  for (const manager of managersOf(RUNTIME).filter(({ settings }) => settings)) {
    const { application } = await installed(registry.url, manager, node(RUNTIME), { settings })
    const held = application.path(manager.name.startsWith('pnpm') ? 'node_modules/.pnpm' : '.yarn/cache')
    const platforms = fs
      .readdirSync(held)
      .flatMap((name) => /^goscope-postgres-(linux-\w+-\w+?|darwin|win32)[-@]/.exec(name)?.[1] ?? [])
    assert.deepEqual(platforms.sort(), ['linux-arm64-musl', 'linux-x64-musl'], manager.name)
  }
})

test('npm installs for another platform if it is configured to', async () => {
  for (const [cpu, libc, expected] of [
    ['arm64', 'glibc', 'linux-arm64-gnu'],
    ['x64', 'musl', 'linux-x64-musl'],
  ]) {
    const consumer = new Consumer()
    await consumer.install(
      ['goscope-postgres'],
      [`--registry=${registry.url}`, '--os=linux', `--cpu=${cpu}`, `--libc=${libc}`],
    )
    const packages = fs
      .readdirSync(consumer.path('node_modules'))
      .filter((name) => name.startsWith('goscope-postgres-'))
    assert.deepEqual(packages, [`goscope-postgres-${expected}`])
  }
})
