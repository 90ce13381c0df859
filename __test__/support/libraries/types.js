// @ts-check
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '../../..')

/** What the types of the libraries need. */
const TYPES = ['@types/node@20.19.25', '@types/pg@8.23.1']

/**
 * Compiles a file of `transactions/types` against the types of the libraries that are installed.
 *
 * @param {import('../consumer.js').Consumer} consumer
 * @param {string} file
 */
async function compile(consumer, file) {
  fs.copyFileSync(path.join(root, '__test__/transactions/types', file), consumer.path(file))
  const paths = {
    'goscope-postgres': [path.join(root, 'index.d.ts')],
    'goscope-postgres/clients': [path.join(root, 'clients.d.ts')],
  }
  const compilerOptions = { target: 'es2023', module: 'nodenext', types: ['node'], strict: true, noEmit: true, paths }
  // Declarations of the libraries name packages that are not installed.
  const options = { ...compilerOptions, exactOptionalPropertyTypes: true, skipLibCheck: true }
  consumer.write('tsconfig.json', JSON.stringify({ compilerOptions: options, files: [file] }))
  await consumer.succeed([path.join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'])
}

module.exports = { TYPES, compile }
