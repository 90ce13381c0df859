// @ts-check
// Draws the plots of a run again from its JSON: node bench/plots/redraw.js [bench/results/latest.json]
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { plots } = require('./plots.js')

const file = process.argv[2] ?? path.join(__dirname, '../results/latest.json')
const run = JSON.parse(fs.readFileSync(file, 'utf8'))
for (const [name, svg] of Object.entries(plots(run))) {
  fs.writeFileSync(file.replace(/\.json$/, `-${name}.svg`), svg)
}
