// @ts-check
// The files of the page. Only these names are served, so no path leads anywhere else.
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const FOLDER = path.join(__dirname, 'page')

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Files of the command that the page uses, too: they need nothing else. */
const SHARED = { 'units.mjs': '../units.js', 'text.mjs': '../text.js' }

/** The plotting library, as npm has installed it. */
const PLOTTING = { 'uplot.js': 'uplot/dist/uPlot.iife.min.js', 'uplot.css': 'uplot/dist/uPlot.min.css' }

/** By the path in their address. @type {Map<string, { type: string, read: () => string }>} */
const FILES = new Map()

for (const name of fs.readdirSync(FOLDER)) {
  const type = TYPES[path.extname(name)]
  if (type === undefined) continue
  const read = () => fs.readFileSync(path.join(FOLDER, name), 'utf8')
  FILES.set(name === 'index.html' ? '/' : `/assets/${name}`, { type, read })
}
for (const [name, file] of Object.entries(SHARED)) {
  FILES.set(`/assets/${name}`, { type: TYPES['.mjs'], read: () => asModule(path.join(__dirname, file)) })
}
for (const [name, file] of Object.entries(PLOTTING)) {
  const read = () => fs.readFileSync(require.resolve(file), 'utf8')
  FILES.set(`/assets/${name}`, { type: TYPES[path.extname(name)], read })
}

/**
 * A CommonJS file as a module of the browser.
 *
 * @param {string} file
 */
function asModule(file) {
  const names = Object.keys(require(file)).join(', ')
  return `const module = {}\n;(() => {\n${fs.readFileSync(file, 'utf8')}\n})()\nexport const { ${names} } = module.exports\n`
}

/** @param {string} pathname */
function fileAt(pathname) {
  const file = FILES.get(pathname)
  return file && { type: file.type, text: file.read() }
}

module.exports = { fileAt }
