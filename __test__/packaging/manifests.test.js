// @ts-check
// @configurations first
// All packages name the same platforms and versions, and a release changes all of them together.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { PLATFORMS, addonName, folder, packageName, root } = require('../../scripts/platforms.js')
const { stageRoot } = require('../../scripts/release/stage.js')
const { run, temporaryFolder } = require('../support/consumer.js')
const { buildInfo } = require('goscope-postgres')

/** @param {string} file */
const json = (file) => JSON.parse(fs.readFileSync(file, 'utf8'))
const manifest = json(path.join(root, 'package.json'))

test("each platform's package declares its platform", () => {
  const folders = fs.readdirSync(path.join(root, 'npm')).sort()
  assert.deepEqual(folders, PLATFORMS.map(({ name }) => name).sort())
  assert.deepEqual(
    manifest.napi.targets,
    PLATFORMS.map(({ target }) => target),
  )
  for (const platform of PLATFORMS) {
    const { name, version, os, cpu, libc, main, files, engines, license, type } = json(
      path.join(folder(platform), 'package.json'),
    )
    assert.equal(name, packageName(platform))
    assert.deepEqual(
      [version, license, engines, type],
      [manifest.version, manifest.license, manifest.engines, 'commonjs'],
    )
    assert.deepEqual([os, cpu, libc], [[platform.os], [platform.cpu], platform.libc ? [platform.libc] : undefined])
    assert.equal(main, `./${addonName(platform)}`)
    assert.ok(files.includes(addonName(platform)))
  }
})

test("the root package depends on exactly its own version of them, and the repository's does not", () => {
  const target = path.join(temporaryFolder(), 'root')
  stageRoot(target)
  const staged = json(path.join(target, 'package.json'))
  assert.deepEqual(
    staged.optionalDependencies,
    Object.fromEntries(PLATFORMS.map((platform) => [packageName(platform), manifest.version])),
  )
  for (const field of ['allowScripts', 'devDependencies', 'scripts', 'overrides', 'napi'])
    assert.equal(staged[field], undefined)
  for (const field of ['name', 'version', 'exports', 'dependencies', 'peerDependencies', 'engines']) {
    assert.deepEqual(staged[field], manifest[field])
  }
  assert.equal(manifest.optionalDependencies, undefined)
})

test('the workflows build each platform, and test the builds', () => {
  const workflow = fs.readFileSync(path.join(root, '.github/workflows/build.yml'), 'utf8')
  const [, built, tested] = workflow.split(/^ {4}strategy:/m).map((job) => {
    return [...job.matchAll(/platform: ([\w-]+),.*?(?:target: ([\w-]+))?(?: \}|, image)/g)].map(([, name, target]) => ({
      name,
      target,
    }))
  })
  assert.deepEqual(
    built,
    PLATFORMS.map(({ name, target }) => ({ name, target })),
  )
  assert.ok(tested)
  for (const { name } of PLATFORMS) assert.ok(workflow.match(new RegExp(`platform: ${name},`, 'g'))?.length !== 1, name)
})

test('the addon identifies itself, and its identification cannot be changed', () => {
  assert.equal(buildInfo.version, manifest.version)
  assert.ok(PLATFORMS.some(({ target }) => target === buildInfo.target))
  assert.deepEqual(buildInfo.features, [])
  assert.throws(() => Object.assign(buildInfo, { version: '0' }), TypeError)
  assert.throws(() => Reflect.apply(Array.prototype.push, buildInfo.features, ['x']), TypeError)
})

test('a new version is one of all packages, of the crate and of the changelog', async () => {
  const copy = temporaryFolder()
  const files = ['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md', 'npm', 'scripts']
  for (const name of files) fs.cpSync(path.join(root, name), path.join(copy, name), { recursive: true })
  const read = (/** @type {string} */ file) => fs.readFileSync(path.join(copy, file), 'utf8')
  const setVersion = (/** @type {string} */ version) =>
    run(process.execPath, [path.join(copy, 'scripts/release/version.js'), version], { cwd: copy })
  fs.writeFileSync(path.join(copy, 'CHANGELOG.md'), '# Changelog\n\n## Unreleased\n\n- A thing.\n')

  const { code, output } = await setVersion('7.8.9-beta.1')
  assert.equal(code, 0, output)
  for (const at of ['.', ...PLATFORMS.map(({ name }) => `npm/${name}`)]) {
    assert.equal(json(path.join(copy, at, 'package.json')).version, '7.8.9-beta.1')
  }
  const lock = json(path.join(copy, 'package-lock.json'))
  assert.deepEqual([lock.version, lock.packages[''].version], ['7.8.9-beta.1', '7.8.9-beta.1'])
  assert.match(read('Cargo.toml'), /^name = "goscope-postgres"\nversion = "7\.8\.9-beta\.1"$/m)
  assert.match(read('Cargo.lock'), /^name = "goscope-postgres"\nversion = "7\.8\.9-beta\.1"$/m)
  assert.match(read('CHANGELOG.md'), /## Unreleased\n\n## 7\.8\.9-beta\.1 \(\d{4}-\d\d-\d\d\)\n\n- A thing\./)
  const changed = files.flatMap((name) => difference(path.join(root, name), path.join(copy, name)))
  const lines = PLATFORMS.length + 1 + 2 + 2
  assert.equal(changed.filter((line) => line.includes('7.8.9-beta.1')).length, lines + 1, 'nothing else is changed')

  const notes = (/** @type {string} */ tag) =>
    run(process.execPath, [path.join(copy, 'scripts/release/notes.js'), tag], { cwd: copy })
  assert.deepEqual(await notes('v7.8.9-beta.1'), { code: 0, output: '- A thing.\n' })
  assert.match((await notes('v7.8.9')).output, /^the tag is v7\.8\.9, and goscope-postgres is at 7\.8\.9-beta\.1$/m)

  assert.match((await setVersion('7.8.9')).output, /says nothing under "Unreleased"/)
  assert.match((await setVersion('soon')).output, /^Usage/)
  assert.equal(json(path.join(copy, 'package.json')).version, '7.8.9-beta.1')
})

/**
 * The lines of a file, or of a folder's files, that another lacks.
 *
 * @param {string} before
 * @param {string} after
 * @returns {string[]}
 */
function difference(before, after) {
  if (fs.statSync(after).isDirectory()) {
    return fs.readdirSync(after).flatMap((name) => difference(path.join(before, name), path.join(after, name)))
  }
  const old = new Set(fs.readFileSync(before, 'utf8').split('\n'))
  return fs
    .readFileSync(after, 'utf8')
    .split('\n')
    .filter((line) => !old.has(line))
}
