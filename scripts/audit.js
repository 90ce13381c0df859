// @ts-check
// What the package is built from and installs with it: licences, sources and what is known against them. Where a database
// of advisories cannot be reached, it says so, and what needs none is checked all the same.
'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '..')
const NO_ANSWER = /failed to fetch advisory database|audit endpoint returned an error|ENOTFOUND|ECONNREFUSED|EAI_AGAIN/

const shell = process.platform === 'win32'
const hasDeny = spawnSync('cargo', ['deny', '--version'], { shell }).status === 0
const deny = 'cargo-deny is not installed: cargo install --locked cargo-deny'

/** @type {{ name: string, command: string[], missing?: string | false, mayHaveNoAnswer?: boolean }[]} */
const checks = [
  {
    name: 'cargo deny check licenses bans sources',
    command: ['cargo', 'deny', 'check', 'licenses', 'bans', 'sources'],
    missing: !hasDeny && deny,
  },
  {
    name: 'cargo deny check advisories',
    command: ['cargo', 'deny', 'check', 'advisories'],
    missing: !hasDeny && deny,
    mayHaveNoAnswer: true,
  },
  // What is installed with the package, and then what it is developed with.
  { name: 'npm audit --omit=dev', command: ['npm', 'audit', '--loglevel=warn', '--omit=dev'], mayHaveNoAnswer: true },
  { name: 'npm audit', command: ['npm', 'audit', '--loglevel=warn', '--audit-level=high'], mayHaveNoAnswer: true },
]

const counts = { passed: 0, failed: 0, skipped: 0 }
for (const { name, command, missing, mayHaveNoAnswer } of checks) {
  if (missing) {
    counts.skipped++
    console.log(`skipped ${name}: ${missing}`)
    continue
  }
  const [program, ...args] = command
  const { status, error, output } = spawnSync(program, args, { cwd: root, encoding: 'utf8', shell, timeout: 120_000 })
  const said = (output ?? []).filter(Boolean).join('').trimEnd()
  if (status === 0) {
    counts.passed++
    console.log(`ok      ${name}`)
  } else if (mayHaveNoAnswer && (error || NO_ANSWER.test(said))) {
    counts.skipped++
    console.log(`skipped ${name}: the database of advisories cannot be reached here`)
  } else {
    counts.failed++
    console.log(`FAILED  ${name}\n${error ? error.message : said}`)
  }
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exit(counts.failed === 0 ? 0 : 1)
