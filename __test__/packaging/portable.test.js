// @ts-check
// @configurations first
// The released addon: it runs on any Linux since glibc 2.17, and contains nothing that it should not.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { addonName, platform, root } = require('../../scripts/platforms.js')
const { faults } = require('../../scripts/release/check.js')
const { run, succeed, temporaryFolder } = require('../support/consumer.js')
const { released, unbuildable } = require('../support/released.js')

/** @type {string} */
let addon
/** @type {import('../../scripts/platforms.js').Platform} */
let here

before(async () => {
  const built = await released()
  addon = built.addon
  here = platform(built.platform)
})

test('it is fit to be released', { skip: unbuildable }, (t) => {
  assert.deepEqual(faults(here, addon), [])
  t.diagnostic(`figure: ${addonName(here)}: ${fs.statSync(addon).size} bytes`)
})

test('each fault that makes an addon unfit is found', { skip: unbuildable }, () => {
  const spoilt = path.join(temporaryFolder(), addonName(here))
  const spoil = (/** @type {string | Buffer} */ more) => {
    fs.writeFileSync(spoilt, Buffer.concat([fs.readFileSync(addon), Buffer.from(more)]))
    return faults(here, spoilt)
  }
  assert.deepEqual(spoil('OpenSSL 3.0.15 3 Sep 2024'), ['it carries OpenSSL 3.0.15'])
  assert.deepEqual(spoil('/home/ada/src/lib.rs'), ['it contains the path of its build: /home/ada/src/lib.rs'])
  const found = spoil(path.join(root, 'src/lib.rs')).find((fault) =>
    fault.startsWith('it contains the path of its build'),
  )
  assert.ok(found?.includes(root.slice(0, 40)), found)
  assert.match(String(spoil(Buffer.alloc(6_200_000))), /^it has \d+ bytes, and may have 6200000$/)
  if (here.libc === 'glibc') {
    assert.match(String(faults({ ...here, libc: 'musl' }, addon)), /it needs glibc 2\.17/)
  }
})

test('a program built here needs a newer glibc, or has symbols, and is detected', {
  skip: process.platform !== 'linux',
}, async () => {
  const folder = temporaryFolder()
  const [source, program] = [path.join(folder, 'main.rs'), path.join(folder, 'program')]
  fs.writeFileSync(source, 'fn main() { println!("{:?}", std::env::args()) }')
  await succeed(run('rustc', ['-g', '-o', program, source], { cwd: folder }), 'rustc')
  const found = faults({ ...here, libc: 'glibc' }, program).join('\n')
  assert.match(found, /^it is not stripped/m)
  assert.match(found, /^it needs glibc 2\.(1[89]|[2-9]\d), not 2\.17$/m)
})

test('it loads, and identifies itself', { skip: unbuildable }, async () => {
  const show = "console.log(JSON.stringify(require('goscope-postgres').buildInfo))"
  const env = { ...process.env, GOSCOPE_POSTGRES_NATIVE: addon }
  const output = await succeed(run(process.execPath, ['-e', show], { cwd: root, env }), show)
  const { version } = require('../../package.json')
  assert.deepEqual(JSON.parse(output), { version, target: here.target, features: [] })
})
