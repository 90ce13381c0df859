// @ts-check
// @configurations first, last
// Each example program runs, and prints its output.txt.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { variants } = require('../support/variants.js')

const root = path.join(__dirname, '..', '..')
const examples = path.join(root, 'examples')
// These are tested elsewhere: `npm run demo`, and packaging/hosts.test.js.
const ELSEWHERE = ['demo', 'hosts']

const names = fs.readdirSync(examples).filter((name) => !ELSEWHERE.includes(name))
for (const name of variants(names, 3)) {
  test(`examples/${name}`, () => {
    const program = path.join(examples, name, 'main.js')
    // A server of its own, as on the machine of a reader who tries it.
    const { DATABASE_URL: _, ...env } = process.env
    const run = spawnSync(process.execPath, [program], { cwd: root, env, encoding: 'utf8', timeout: 120_000 })
    assert.equal(run.status, 0, `${run.stdout}${run.stderr}`)
    assert.equal(run.stderr, '')
    const expected = fs.readFileSync(path.join(examples, name, 'output.txt'), 'utf8')
    assert.equal(run.stdout, expected)
  })
}
