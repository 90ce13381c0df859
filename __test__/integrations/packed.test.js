// @ts-check
// @configurations last
// @without first: the packed package; here the other files of integrations/ run on this checkout
// @package packed
// The subpaths of integrations in the packed package, by require and import. None is loaded with the package itself.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { Consumer, PG, tarball } = require('../support/consumer.js')

/** By subpath: what it exports, and what it imports, if it does. */
const SUBPATHS = {
  keyv: { exports: ['KeyvStore'] },
  'express-session': { exports: ['SessionStore'], imports: 'express-session@1.19.0' },
  unstorage: { exports: ['default', 'storageDriver'] },
  'rate-limiter-flexible': { exports: ['PostgresRateLimiter'], imports: 'rate-limiter-flexible@11.4.0' },
}

const [bare, whole] = [new Consumer(), new Consumer()]
before(async () => {
  const libraries = Object.values(SUBPATHS).flatMap((each) => ('imports' in each ? [each.imports] : []))
  await bare.install([await tarball(), PG])
  await whole.install([await tarball(), PG, ...libraries])
})

for (const [subpath, { exports, ...rest }] of Object.entries(SUBPATHS)) {
  const name = `goscope-postgres/${subpath}`
  test(`${name}: require and import give the same`, async () => {
    const code = `
      const required = require('${name}')
      import('${name}').then((imported) => {
        for (const each of Object.keys(required)) if (imported[each] !== required[each]) throw new Error(each)
        console.log(JSON.stringify(Object.keys(imported).sort()))
      })`
    assert.deepEqual(JSON.parse(await whole.succeed(['-e', code])), exports)
  })

  test(`${name}: without the other library`, async () => {
    const { code, output } = await bare.run(['-e', `require('${name}')`])
    if (!('imports' in rest)) return assert.equal(code, 0, output)
    assert.equal(code, 1)
    assert.match(output, new RegExp(`Cannot find module '${subpath}'`))
  })
}

test('the package itself loads no integration', async () => {
  const code = "require('goscope-postgres'); console.log(Object.keys(require.cache).join('\\n'))"
  const loaded = await whole.succeed(['-e', code])
  assert.match(loaded, /cache-adapter\.js/)
  assert.doesNotMatch(loaded, /integrations|express-session|rate-limiter-flexible|keyv|unstorage/)
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
