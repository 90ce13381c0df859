// @ts-check
'use strict'

const { execFileSync } = require('node:child_process')

/** The host's target triple. */
function hostTarget() {
  const target = /^host: (.*)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))?.[1]
  if (!target) throw new Error('rustc -vV names no host')
  return target
}

module.exports = { hostTarget }
