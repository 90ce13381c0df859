// @ts-check
// The addon as it is released for this platform.
'use strict'

const path = require('node:path')
const { platformName } = require('../../lib/native/platform.js')
const { addonName, platform, root } = require('../../scripts/platforms.js')
const { hasZig } = require('../../scripts/release/build.js')
const { run, succeed } = require('./consumer.js')

/** Why the released addon cannot be built here, or false. */
const unbuildable =
  process.platform === 'linux' && !hasZig()
    ? 'it needs zig: python3 -m pip install --target target/zig -r scripts/release/requirements.txt'
    : false

/**
 * If it cannot be built, the addon of the development build. The steps to an installed package are the same.
 *
 * @returns {Promise<{ platform: string, addon: string }>}
 */
async function released() {
  const here = platform(platformName())
  if (unbuildable) return { platform: here.name, addon: path.join(root, addonName(here)) }
  const build = path.join(root, 'scripts/release/build.js')
  const output = await succeed(run(process.execPath, [build], { cwd: root }), 'scripts/release/build.js')
  return { platform: here.name, addon: String(output.trimEnd().split('\n').at(-1)) }
}

module.exports = { released, unbuildable }
