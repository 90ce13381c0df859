// @ts-check
// Runs every check that needs no server, whatever the others find: those of Rust, and the others beside them.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')
const inPackage = (/** @type {string[]} */ ...parts) => path.join(root, 'node_modules', ...parts)
const tsc = inPackage('typescript', 'bin', 'tsc')
const biome = inPackage('@biomejs', 'biome', 'bin', 'biome')
const workflows = path.join(__dirname, 'release', 'workflows.js')
const imports = path.join(__dirname, 'imports.js')
const sql = path.join(__dirname, 'sql.js')
const licences = path.join(__dirname, 'release', 'licences.js')

/** @typedef {[name: string, program: string, args: string[]]} Check */

/** @type {Check[]} */
const ofRust = [
  ['cargo fmt --check', 'cargo', ['fmt', '--check']],
  ['cargo clippy', 'cargo', ['clippy', '--all-targets', '--all-features', '--', '-D', 'warnings']],
]
/** Most of these use one core. @type {Check[]} */
const others = [
  ['tsc -p .', process.execPath, [tsc, '-p', '.']],
  ['tsc -p tsconfig.page.json', process.execPath, [tsc, '-p', 'tsconfig.page.json']],
  ['tsc -p __test__/compatibility/types', process.execPath, [tsc, '-p', '__test__/compatibility/types']],
  ['biome ci', process.execPath, [biome, 'ci', '--colors=off']],
  ['imports point downward', process.execPath, [imports]],
  ['sql/ is made from sql/source/', process.execPath, [sql, '--check']],
  ['licences of the linked crates', process.execPath, [licences, '--check']],
  ['actionlint', process.execPath, [workflows]],
]

// The types of the native addon, which lib/ is checked against, come out of its build.
if (!fs.existsSync(path.join(root, 'native.d.ts'))) {
  const built = spawnSync(process.execPath, [path.join(__dirname, 'build.js')], { cwd: root, stdio: 'inherit' })
  if (built.status !== 0) process.exit(1)
}

let failed = 0

/** @param {Check[]} checks one after the other */
async function run(checks) {
  for (const [name, program, args] of checks) {
    const started = performance.now()
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
    const status = await new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('close', resolve)
    })
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
    if (status === 0) continue
    failed++
    console.log(typeof status === 'string' ? status : output.trimEnd())
  }
}

Promise.all([run(ofRust), run(others)]).then(() => {
  console.log(`${ofRust.length + others.length - failed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
})
