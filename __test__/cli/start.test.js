// @ts-check
// @configurations first
// What the command loads: no more than it needs, so that it starts fast.
'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { promisify } = require('node:util')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const root = path.join(__dirname, '../..')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-start-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))
const reporter = path.join(folder, 'reporter.js')

const database = useDatabase()

before(async () => {
  await new PostgresAdapter((await database).pool()).connect()
  fs.writeFileSync(
    reporter,
    `process.on('exit', () => require('fs').writeFileSync(process.env.LOADED, JSON.stringify(Object.keys(require.cache))))`,
  )
})

/**
 * The files that a command has loaded, below the package's folder.
 *
 * @param {string[]} args
 */
async function loadedBy(args) {
  const LOADED = path.join(folder, 'loaded.json')
  const env = { ...process.env, DATABASE_URL: (await database).url, LOADED }
  await promisify(execFile)(process.execPath, ['-r', reporter, 'bin/goscope-postgres.js', ...args], { cwd: root, env })
  /** @type {string[]} */
  const files = JSON.parse(fs.readFileSync(LOADED, 'utf8'))
  return files.filter((file) => file !== reporter).map((file) => path.relative(root, file).replaceAll(path.sep, '/'))
}

const COMMANDS = /^cli\/commands\//
/** What needs a server, or only some commands. */
const HEAVY = [/\.node$/, /^lib\/native/, /(^|\/)node_modules\//, /^cli\/ui\//, /^cli\/doctor\//, /^cli\/queries\//]

for (const args of [['--help'], ['-h'], ['help'], ['--version'], ['-v'], ['--verbose', '--help']]) {
  test(`${args.join(' ')} loads no command, no addon, and no other package`, async () => {
    const loaded = await loadedBy(args)
    assert.ok(loaded.includes('cli/main.js'), loaded.join('\n'))
    for (const heavy of [...HEAVY, COMMANDS])
      assert.deepEqual(
        loaded.filter((file) => heavy.test(file)),
        [],
      )
  })
}

test('completion of a command or an option loads no addon, and no other command', async () => {
  for (const words of [[''], ['lo'], ['completion', '']]) {
    const loaded = await loadedBy(['__complete', 'bash', ...words])
    for (const heavy of HEAVY)
      assert.deepEqual(
        loaded.filter((file) => heavy.test(file)),
        [],
        words.join(' '),
      )
  }
})

for (const args of [['locks'], ['locks', '--limit', '3'], ['--limit', '3', 'locks']]) {
  test(`${args.join(' ')} loads its own command, not pg, and nothing of the page and the checks`, async () => {
    const loaded = await loadedBy(args)
    assert.ok(loaded.some((file) => file.endsWith('.node')))
    assert.deepEqual(
      loaded.filter((file) => COMMANDS.test(file)),
      ['cli/commands/locks.js'],
    )
    for (const other of [/node_modules\/pg\//, /^cli\/ui\//, /^cli\/doctor\//]) {
      assert.deepEqual(
        loaded.filter((file) => other.test(file)),
        [],
      )
    }
  })
}
