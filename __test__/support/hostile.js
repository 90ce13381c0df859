// @ts-check
// Text from an attacker, or text that only looks like an attack. `GOSCOPE_PROPERTY_RUNS` makes the properties run for
// longer, `GOSCOPE_PROPERTY_SEED` repeats a run.
'use strict'

const fc = require('fast-check')
const { extent } = require('./variants.js')

const RUNS = Number(process.env.GOSCOPE_PROPERTY_RUNS ?? extent(40, 20))
const seed = process.env.GOSCOPE_PROPERTY_SEED

/** A mark that is in every hostile text, and in no text of ours. */
const MARK = 'qzmarkqz'

const PIECES = [
  ...[
    "'",
    "''",
    '"',
    '""',
    '\\',
    "\\'",
    '`',
    ';',
    '--',
    '/*',
    '*/',
    '$1',
    '$$',
    '$x$',
    '\n',
    '\r',
    '\t',
    '%',
    '_',
    '*',
  ],
  ...[
    '%s',
    '{table}',
    '{now:expires_at}',
    '{touched}',
    '{',
    '}',
    'lock:',
    'cache:',
    'circuit:',
    '\u0001',
    '\u0001#plain',
  ],
  ...[
    '\u0001sha256:',
    '\ufffd',
    '\ud800',
    '\udfff',
    '🙂',
    'é',
    'ß',
    'İ',
    '\u2028',
    '\u202e',
    '__proto__',
    'constructor',
  ],
  ...[
    "'; DROP TABLE canary; --",
    '"; DROP TABLE canary; --',
    "') OR true --",
    'E\\x27',
    '\\u0000',
    '\\ud800',
    'NULL',
    '',
  ],
]

const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...PIECES) },
  { weight: 2, arbitrary: fc.string({ maxLength: 8 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 3 }).map((text) => text.repeat(900)) },
)

/** Without U+0000, which is refused. */
const text = fc
  .tuple(fc.array(piece, { maxLength: 5 }), fc.array(piece, { maxLength: 3 }))
  .map(([before, after]) => `${before.join('')}${MARK}${after.join('')}`.replaceAll('\0', ''))

/**
 * @template {[unknown, ...unknown[]]} T
 * @param {{ [K in keyof T]: import('fast-check').Arbitrary<T[K]> }} arbitraries
 * @param {(...values: T) => Promise<void>} property
 */
async function holds(arbitraries, property, runs = RUNS) {
  const settings = {
    numRuns: runs,
    endOnFailure: true,
    includeErrorInReport: true,
    ...(seed && { seed: Number(seed) }),
  }
  await fc.assert(/** @type {any} */ (fc.asyncProperty)(...arbitraries, property), settings)
}

module.exports = { MARK, RUNS, fc, holds, text }
