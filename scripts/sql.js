// @ts-check
// Writes the files of `sql/` from `sql/source/`, or finds with `--check` that they are not up to date.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { files } = require('../cli/migrations.js')

const folder = path.join(__dirname, '..', 'sql')
const isCheck = process.argv.includes('--check')

for (const [name, sql] of Object.entries(files())) {
  const file = path.join(folder, name)
  const text = `${sql}\n`
  if (fs.readFileSync(file, 'utf8') === text) continue
  if (isCheck) {
    console.error(`sql/${name} is not up to date: run \`node scripts/sql.js\``)
    process.exitCode = 1
  } else {
    fs.writeFileSync(file, text)
    console.log(`sql/${name} is written`)
  }
}
