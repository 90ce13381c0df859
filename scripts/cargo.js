// @ts-check
'use strict'

const { execFileSync } = require('node:child_process')

/** The host's target triple. The addon is built for it by name, and naming it too shares the compiled dependencies. */
function hostTarget() {
  const target = /^host: (.*)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))?.[1]
  if (!target) throw new Error('rustc -vV names no host')
  return target
}

/**
 * Builds this crate without optimisation, which takes a sixth of the time. Its dependencies are those of the addon, as
 * they have been compiled. An overflow or a failed assertion panics.
 */
const QUICKLY = ['opt-level=0', 'codegen-units=16', 'debug-assertions=true', 'overflow-checks=true'].flatMap(
  (setting) => ['--config', `profile.release.package.goscope-postgres.${setting}`],
)

module.exports = { QUICKLY, hostTarget }
