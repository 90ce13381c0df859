// @ts-check
// @configurations last
// @without first: the tarballs of all platforms; here compatibility/programs looks into that of this machine
// Each tarball contains exactly the intended files, one by one. Tools that check packages find no fault.
'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { PLATFORMS, addonName, packageName, root } = require('../../scripts/platforms.js')
const { stagePlatform, stageRoot } = require('../../scripts/release/stage.js')
const { run, succeed, temporaryFolder } = require('../support/consumer.js')
const { version } = require('../../package.json')

const ROOT = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'THIRD-PARTY-LICENSES.txt',
  'bin/goscope-postgres.js',
  'clients.d.mts',
  'clients.d.ts',
  'clients.js',
  'clients.mjs',
  'embedded.d.mts',
  'embedded.d.ts',
  'embedded.js',
  'embedded.mjs',
  'express-session.d.mts',
  'express-session.d.ts',
  'express-session.js',
  'express-session.mjs',
  'index.d.mts',
  'index.d.ts',
  'index.js',
  'index.mjs',
  'keyv.d.mts',
  'keyv.d.ts',
  'keyv.js',
  'keyv.mjs',
  'rate-limiter-flexible.d.mts',
  'rate-limiter-flexible.d.ts',
  'rate-limiter-flexible.js',
  'rate-limiter-flexible.mjs',
  'langgraph.d.mts',
  'langgraph.d.ts',
  'langgraph.js',
  'langgraph.mjs',
  'opentelemetry.d.mts',
  'opentelemetry.d.ts',
  'opentelemetry.js',
  'opentelemetry.mjs',
  'prometheus.d.mts',
  'prometheus.d.ts',
  'prometheus.js',
  'prometheus.mjs',
  'nestjs.d.mts',
  'nestjs.d.ts',
  'nestjs.js',
  'nestjs.mjs',
  'sql/cache-table.sql',
  'sql/role.sql',
  'sql/schema.sql',
  'sql/source/additions.sql',
  'sql/source/tables.sql',
  'unstorage.d.mts',
  'unstorage.d.ts',
  'unstorage.js',
  'unstorage.mjs',
  'package.json',
]

const folder = temporaryFolder()
/** @type {string} */
let tarball

before(async () => {
  stageRoot(path.join(folder, 'root'))
  const none = path.join(folder, 'none.node')
  fs.writeFileSync(none, '')
  for (const platform of PLATFORMS) stagePlatform(platform, path.join(folder, platform.name), none)
  tarball = path.join(folder, (await pack('root')).filename)
})

/**
 * @param {string} staged
 * @returns {Promise<{ filename: string, name: string, version: string, files: string[] }>}
 */
async function pack(staged) {
  const args = ['pack', '--json', '--pack-destination', folder]
  const shell = process.platform === 'win32'
  const output = await succeed(run('npm', args, { cwd: path.join(folder, staged), shell }), 'npm pack')
  const answer = JSON.parse(output)
  const [packed] = Array.isArray(answer) ? answer : Object.values(answer)
  return { ...packed, files: packed.files.map((/** @type {{ path: string }} */ file) => file.path).sort() }
}

test('the root package: its public files, those of lib and cli that are committed, and its manifest', async () => {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'cli', 'lib'], {
    cwd: root,
  })
  const code = listed.toString().trim().split('\n')
  assert.ok(code.length > 30)
  const { files } = await pack('root')
  assert.deepEqual(files, [...ROOT, ...code].sort())
})

for (const platform of PLATFORMS) {
  test(`${packageName(platform)}: the addon, and its manifest`, async () => {
    const packed = await pack(platform.name)
    assert.deepEqual([packed.name, packed.version], [packageName(platform), version])
    const files = ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES.txt', addonName(platform), 'package.json']
    assert.deepEqual(packed.files, files.sort())
  })
}

test('no file names the machine that packed it, or maps to sources', () => {
  for (const name of fs.readdirSync(path.join(folder, 'root'), { recursive: true }).map(String)) {
    const file = path.join(folder, 'root', name)
    if (fs.statSync(file).isDirectory()) continue
    const text = fs.readFileSync(file, 'utf8')
    assert.ok(!text.includes(root), name)
    assert.doesNotMatch(text, /sourceMappingURL/, name)
  }
})

const bin = (/** @type {string[]} */ ...parts) => path.join(root, 'node_modules', ...parts)

test('publint finds nothing', async () => {
  const output = await succeed(
    run(process.execPath, [bin('publint/src/cli.js'), tarball, '--strict'], { cwd: folder }),
    'publint',
  )
  assert.match(output, /All good!/)
})

test('arethetypeswrong finds nothing', async () => {
  const attw = bin('@arethetypeswrong/cli/dist/index.js')
  const output = await succeed(run(process.execPath, [attw, tarball, '--format', 'json'], { cwd: folder }), 'attw')
  const { analysis } = JSON.parse(output)
  assert.deepEqual(analysis.problems, [])
  assert.deepEqual(Object.keys(analysis.entrypoints), [
    '.',
    './embedded',
    './clients',
    './keyv',
    './express-session',
    './unstorage',
    './rate-limiter-flexible',
    './langgraph',
    './opentelemetry',
    './prometheus',
    './nestjs',
    './package.json',
  ])
})
