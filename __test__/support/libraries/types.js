// @ts-check
'use strict'

const fs = require('node:fs')
const path = require('node:path')

/** @type {Record<string, { require?: { types: string } }>} */
const exported = /** @type {any} */ (require('../../../package.json').exports)

const root = path.join(__dirname, '../../..')

/** What the types of the libraries need. */
const TYPES = ['@types/node@20.19.25', '@types/pg@8.23.1']

/**
 * Compiles a file against the types of the libraries that are installed.
 *
 * @param {import('../consumer.js').Consumer} consumer
 * @param {string} source in `__test__/`
 */
async function compile(consumer, source) {
  const file = path.basename(source)
  fs.copyFileSync(path.join(root, '__test__', source), consumer.path(file))
  const declarations = Object.entries(exported).flatMap(([name, { require: found }]) =>
    found ? [[path.posix.join('goscope-postgres', name), [path.join(root, found.types)]]] : [],
  )
  const paths = Object.fromEntries(declarations)
  const compilerOptions = { target: 'es2023', module: 'nodenext', types: ['node'], strict: true, noEmit: true, paths }
  // Declarations of the libraries name packages that are not installed.
  const options = { ...compilerOptions, exactOptionalPropertyTypes: true, skipLibCheck: true }
  consumer.write('tsconfig.json', JSON.stringify({ compilerOptions: options, files: [file] }))
  await consumer.succeed([path.join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'])
}

module.exports = { TYPES, compile }
