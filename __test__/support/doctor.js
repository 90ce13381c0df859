// @ts-check
// What `goscope-postgres doctor` finds, by name.
'use strict'

const assert = require('node:assert/strict')
const { runCommand } = require('./command.js')

/** The tests' own server has these settings on purpose: it is thrown away. */
const OF_THE_SERVER = 'durability'

/**
 * @param {string} url
 * @param {string[]} args
 */
async function examine(url, ...args) {
  const { code, stdout, stderr } = await runCommand(['doctor', '--json', ...args], { DATABASE_URL: url })
  assert.equal(stderr, '')
  /** @type {{ checks: { name: string, status: string, message: string, advice?: string }[] }} */
  const { checks } = JSON.parse(stdout)
  const of = (/** @type {string} */ wanted) => checks.filter(({ status }) => status === wanted).map(({ name }) => name)
  const check = (/** @type {string} */ title) => {
    const found = checks.find(({ name }) => name === title)
    assert.ok(found, `${title} of ${checks.map(({ name }) => name)}`)
    return found
  }
  return { code, failed: of('failed'), warned: of('warning').filter((name) => name !== OF_THE_SERVER), check }
}

module.exports = { examine }
