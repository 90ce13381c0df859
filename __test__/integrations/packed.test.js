// @ts-check
// @configurations last
// @without first: the packed package; here the other files of integrations/ run on this checkout
// @package packed
// The subpaths for other libraries in the packed package, by require and import. None is loaded with the package itself.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { Consumer, PG, tarball } = require('../support/consumer.js')

const NESTJS = ['GoscopePostgresHealth', 'GoscopePostgresModule']

/**
 * @typedef {object} Subpath
 * @property {string[]} exports
 * @property {string} [imports] the library, if it imports it
 * @property {string} [needs] what that library needs
 * @property {boolean} [isOfEither] whether import gives something else than require
 */

/** @type {Record<string, Subpath>} */
const SUBPATHS = {
  keyv: { exports: ['KeyvStore'] },
  'express-session': { exports: ['SessionStore'], imports: 'express-session@1.19.0' },
  unstorage: { exports: ['default', 'storageDriver'] },
  'rate-limiter-flexible': { exports: ['PostgresRateLimiter'], imports: 'rate-limiter-flexible@11.4.0' },
  // Its class extends one of the library's, which has another one for import than for require.
  langgraph: {
    exports: ['PostgresCheckpointSaver'],
    imports: '@langchain/langgraph-checkpoint@1.2.2',
    needs: '@langchain/core@1.4.0',
    isOfEither: true,
  },
  nestjs: { exports: NESTJS },
  prometheus: { exports: ['prometheusHandler', 'toPrometheus'] },
  opentelemetry: { exports: ['LatencyProducer', 'observePool', 'traceCalls'], imports: '@opentelemetry/api@1.9.1' },
}

const [bare, whole] = [new Consumer(), new Consumer()]
before(async () => {
  const libraries = Object.values(SUBPATHS).flatMap(({ imports, needs }) =>
    [imports, needs].filter((each) => each !== undefined),
  )
  await bare.install([await tarball(), PG])
  await whole.install([await tarball(), PG, ...libraries])
})

for (const [subpath, { exports, imports, isOfEither = false }] of Object.entries(SUBPATHS)) {
  const name = `goscope-postgres/${subpath}`
  test(`${name}: require and import give the same${isOfEither ? ' names' : ''}`, async () => {
    const code = `
      const required = require('${name}')
      import('${name}').then((imported) => {
        for (const each of Object.keys(required)) {
          if (!(each in imported) || (imported[each] !== required[each]) !== ${isOfEither}) throw new Error(each)
        }
        console.log(JSON.stringify(Object.keys(imported).sort()))
      })`
    assert.deepEqual(JSON.parse(await whole.succeed(['-e', code])), exports)
  })

  test(`${name}: without the other library`, async () => {
    const { code, output } = await bare.run(['-e', `require('${name}')`])
    if (imports === undefined) return assert.equal(code, 0, output)
    assert.equal(code, 1)
    assert.ok(output.includes(`Cannot find module '${imports.slice(0, imports.lastIndexOf('@'))}'`), output)
  })
}

test('the package itself loads no integration', async () => {
  const code = "require('goscope-postgres'); console.log(Object.keys(require.cache).join('\\n'))"
  const loaded = await whole.succeed(['-e', code])
  assert.match(loaded, /cache-adapter\.js/)
  assert.doesNotMatch(
    loaded,
    /integrations|express-session|rate-limiter-flexible|keyv|unstorage|langgraph|nestjs|prometheus|opentelemetry/,
  )
})

test('npm installs none of the other libraries with the package', async () => {
  const installed = JSON.parse(
    (await bare.succeed(['-p', "JSON.stringify(require('node:fs').readdirSync('node_modules'))"])).trim(),
  )
  assert.deepEqual(
    Object.keys(SUBPATHS).filter((name) => installed.includes(name)),
    [],
  )
})
