// @ts-check
// What the declarations say at compile time is what is there at run time.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { operations } = require('goscope-postgres')

const root = path.join(__dirname, '../..')
const read = (/** @type {string} */ file) => fs.readFileSync(path.join(root, file), 'utf8')

/**
 * The string literals of a declaration.
 *
 * @param {string} text from its beginning
 */
const literals = (text) => [...text.matchAll(/'([^']+)'/g)].map(([, literal]) => literal)

test('the tuple of operations lists the operations, in their order', () => {
  const declared = /operations: readonly \[([^\]]+)\]/.exec(read('lib/types/tracing.d.ts'))?.[1] ?? ''
  assert.deepEqual(literals(declared), operations)
})
