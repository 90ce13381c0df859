// @ts-check
// @configurations first
// Which addon is loaded, and the message if there is none or the wrong one.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { PLATFORMS: LOADED } = require('../../lib/native/packages.js')
const { platformName } = require('../../lib/native/platform.js')
const { PLATFORMS, addonName, packageName, platform, root } = require('../../scripts/platforms.js')
const { stagePlatform, stageRoot } = require('../../scripts/release/stage.js')
const { Consumer } = require('../support/consumer.js')
const { version } = require('../../package.json')

const here = platform(platformName())
const twin = PLATFORMS.find(({ os, cpu, name }) => os === here.os && cpu === here.cpu && name !== here.name)
const addon = path.join(root, addonName(here))

const LOAD = "console.log(JSON.stringify(require('goscope-postgres/lib/native.js').buildInfo()))"

/** An application in which the root package is installed, and nothing else. */
function application() {
  const consumer = new Consumer()
  stageRoot(consumer.path('node_modules/goscope-postgres'))
  // So that one of its files can be loaded alone, without the dependencies of the others.
  edit(consumer, 'goscope-postgres', (manifest) => delete manifest.exports)
  return consumer
}

/**
 * @param {Consumer} consumer
 * @param {string} name of a package
 * @param {(manifest: any) => void} change
 */
function edit(consumer, name, change) {
  const file = consumer.path('node_modules', name, 'package.json')
  const manifest = JSON.parse(fs.readFileSync(file, 'utf8'))
  change(manifest)
  fs.writeFileSync(file, JSON.stringify(manifest))
}

/**
 * @param {Consumer} consumer
 * @param {import('../../scripts/platforms.js').Platform} which
 * @param {string} [file]
 */
function install(consumer, which, file = addon) {
  stagePlatform(which, consumer.path('node_modules', packageName(which)), file)
}

/**
 * @param {Consumer} consumer
 * @param {NodeJS.ProcessEnv} [env]
 */
async function loaded(consumer, env) {
  return JSON.parse(await consumer.succeed(['-e', LOAD], { env }))
}

/**
 * The error that ends a program that loads the package.
 *
 * @param {Consumer} consumer
 * @param {{ env?: NodeJS.ProcessEnv, before?: string }} [options]
 */
async function failure(consumer, { env, before = '' } = {}) {
  const { code, output } = await consumer.run(['-e', `${before}\n${LOAD}`], { env })
  assert.equal(code, 1, output)
  return output
}

test("the platform's package is loaded", async () => {
  const consumer = application()
  install(consumer, here)
  assert.deepEqual(await loaded(consumer), { version, target: here.target, features: [] })
})

test('nothing is installed: the error names what is missing, and what to do', async () => {
  const output = await failure(application())
  assert.match(output, /code: 'ERR_MODULE_NOT_FOUND'/)
  for (const said of [
    `the package ${packageName(here)} is not installed`,
    '--omit=optional',
    'https://github.com/npm/cli/issues/4828',
    'package-lock.json and node_modules',
    `npm install --os=${here.os} --cpu=${here.cpu}${here.libc ? ` --libc=${here.libc}` : ''}`,
    'pnpm-workspace.yaml: supportedArchitectures',
    '.yarnrc.yml: supportedArchitectures',
    'keep goscope-postgres out of it',
    'GOSCOPE_POSTGRES_NATIVE',
  ]) {
    assert.ok(output.includes(said), `${said}\n${output}`)
  }
  assert.doesNotMatch(output, /Installed is/)
})

test("another platform's package is installed: the error names it", async () => {
  const consumer = application()
  const [other] = PLATFORMS.filter(({ os }) => os !== here.os)
  assert.ok(other)
  install(consumer, other)
  assert.ok((await failure(consumer)).includes(`\nInstalled is ${packageName(other)}.\n`))
})

test('the package for the other C library is installed: the error says so', { skip: !twin }, async () => {
  assert.ok(twin)
  const consumer = application()
  install(consumer, twin)
  const said = `Installed is ${packageName(twin)}: that is for ${twin.libc}, and this system has ${here.libc}.`
  const output = await failure(consumer)
  assert.ok(output.includes(said), output)
})

test('a platform without a package: the error names those that have one', async () => {
  const before = "Object.defineProperty(process, 'platform', { value: 'freebsd' })"
  const output = await failure(application(), { before })
  assert.ok(output.includes(`goscope-postgres has no native addon for freebsd-${process.arch}.`), output)
  for (const { name } of PLATFORMS) assert.ok(output.includes(name))
})

test('GOSCOPE_POSTGRES_NATIVE takes precedence, relative to the working folder', async () => {
  const consumer = application()
  assert.equal((await loaded(consumer, { GOSCOPE_POSTGRES_NATIVE: addon })).target, here.target)
  install(consumer, here)
  fs.copyFileSync(addon, consumer.path('own.node'))
  assert.equal((await loaded(consumer, { GOSCOPE_POSTGRES_NATIVE: './own.node' })).target, here.target)
  const output = await failure(consumer, { env: { GOSCOPE_POSTGRES_NATIVE: './none.node' } })
  assert.ok(output.includes(`cannot load its native addon from ${consumer.path('none.node')}: `), output)
  assert.match(output, /code: 'ERR_DLOPEN_FAILED'/)
})

test('a file that is no addon: the error names the file and the reason', async () => {
  const consumer = application()
  install(consumer, here, __filename)
  const output = await failure(consumer)
  assert.ok(output.includes(`cannot load its native addon from ${packageName(here)}: `), output)
  assert.match(output, /\[cause\]/)
})

test('an addon of another version is refused', async () => {
  const consumer = application()
  install(consumer, here)
  edit(consumer, 'goscope-postgres', (manifest) => (manifest.version = '9.9.9'))
  const output = await failure(consumer)
  const said = `9.9.9 needs a native addon of the same version, and that of ${packageName(here)} is ${version}`
  assert.ok(output.includes(said), output)
})

test('each platform that has a package is looked for', () => {
  assert.deepEqual([...LOADED].sort(), PLATFORMS.map(({ name }) => name).sort())
})

test("a Linux program's C library is that of its dynamic linker", () => {
  const consumer = new Consumer()
  for (const [linker, libc] of [
    ['/lib/ld-musl-x86_64.so.1', 'musl'],
    ['/lib64/ld-linux-x86-64.so.2', 'gnu'],
    ['', 'gnu'],
  ]) {
    fs.writeFileSync(consumer.path('program'), elf(String(linker)))
    const program = { platform: 'linux', arch: 'x64', execPath: consumer.path('program') }
    assert.equal(platformName(program), `linux-x64-${libc}`)
  }
  assert.equal(platformName({ platform: 'linux', arch: 'arm64', execPath: '/nowhere' }), 'linux-arm64-gnu')
  assert.equal(platformName({ platform: 'darwin', arch: 'arm64', execPath: '' }), 'darwin-arm64')
  assert.equal(platformName({ platform: 'win32', arch: 'x64', execPath: '' }), 'win32-x64-msvc')
})

/**
 * The part of a program that names its dynamic linker. That part is far behind the header, as after a patchelf.
 *
 * @param {string} linker or none
 */
function elf(linker) {
  const [header, size, at] = [64, 56, 9_000]
  const file = Buffer.alloc(at + linker.length)
  file.writeBigUInt64LE(BigInt(header), 32)
  file.writeUInt16LE(size, 54)
  file.writeUInt16LE(linker ? 2 : 1, 56)
  file.writeUInt32LE(6, header)
  file.writeUInt32LE(3, header + size)
  file.writeBigUInt64LE(BigInt(at), header + size + 8)
  file.writeBigUInt64LE(BigInt(linker.length), header + size + 32)
  file.write(linker, at)
  return file
}
