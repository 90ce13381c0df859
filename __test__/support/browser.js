// @ts-check
// Chromium, driven by what docs/package.json installs: the package itself is tested without these.
'use strict'

const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')
const { docs, install } = require('../../scripts/docs.js')

/** @param {string} name */
function programOf(name) {
  const folders = (process.env.PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, name))
  return folders.find((file) => fs.existsSync(file))
}

const browserFile = ['chromium', 'chromium-browser', 'google-chrome'].map(programOf).find(Boolean)

/** Why there is no browser, for a test's `skip`; false if there is one. */
const noBrowser = browserFile ? false : 'chromium is not installed (Debian: apt-get install chromium)'

/** @returns {Promise<any>} */
function launch() {
  install('failures')
  const { chromium } = createRequire(path.join(docs, 'package.json'))('playwright-core')
  // Chromium's sandbox does not run as root, as CI does in its container.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath: browserFile, args })
}

/** The script that checks a page for accessibility. */
const axe = () => fs.readFileSync(path.join(docs, 'node_modules/axe-core/axe.min.js'), 'utf8')

/** Texts with too little contrast. It is called in the browser. */
const lowContrast = async () => {
  const { axe } = /** @type {any} */ (globalThis)
  const { violations } = await axe.run({ runOnly: ['color-contrast'] })
  return violations.flatMap((/** @type {any} */ { nodes }) =>
    nodes.map((/** @type {any} */ { html, any }) => `${html.slice(0, 120)}: ${any[0]?.message}`),
  )
}

module.exports = { axe, launch, lowContrast, noBrowser }
