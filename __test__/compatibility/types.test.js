// @ts-check
// @configurations first, last
// @package packed
// The packed types, found with each of TypeScript's ways to resolve a package.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { PG, makeConsumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { variants } = require('../support/variants.js')

/** The compilers, by their folders. */
const COMPILERS = { 'typescript-5': '5.9.3', 'typescript-7': '7.0.2' }
const RESOLUTIONS = [
  { module: 'node16', moduleResolution: 'node16' },
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'preserve', moduleResolution: 'bundler' },
]

const EACH = Object.entries(COMPILERS).map(([compiler, version]) => ({ compiler, version }))
const checks = variants(EACH.flatMap((each) => RESOLUTIONS.map((resolution) => ({ ...each, resolution }))))
const runs = variants(EACH)

const database = useDatabase()
/** @typedef {import('../support/consumer.js').Consumer} Consumer */
/** @type {Consumer} */
let application
/** @type {Consumer} */
let untyped

before(async () => {
  const compilers = Object.entries(COMPILERS).filter(([name]) =>
    [...checks, ...runs].some((each) => each.compiler === name),
  )
  const specs = compilers.map(([name, version]) => `${name}@npm:typescript@${version}`)
  application = await makeConsumer('typescript', [PG, '@types/pg@8.23.1', '@types/node@26.6.6', ...specs])
  fs.copyFileSync(application.path('shop.ts'), application.path('shop.mts'))
  const tests = path.join(__dirname, 'types')
  for (const file of fs.readdirSync(tests).filter((file) => file.endsWith('ts'))) {
    fs.copyFileSync(path.join(tests, file), application.path(file))
  }
  untyped = await makeConsumer('untyped')
  fs.copyFileSync(untyped.path('bare.ts'), untyped.path('bare.mts'))
})

/**
 * @param {string} compiler
 * @param {Consumer} consumer
 * @param {object} options
 * @param {string[]} files
 */
async function compile(compiler, consumer, options, files) {
  const compilerOptions = { target: 'es2023', lib: ['es2023'], strict: true, noEmit: true, ...options }
  consumer.write('tsconfig.json', JSON.stringify({ compilerOptions, files }))
  const tsc = application.path('node_modules', compiler, 'bin', 'tsc')
  return await consumer.succeed([tsc, '-p', '.', '--listFiles'])
}

for (const { compiler, version, resolution } of checks) {
  // The declarations are checked, too, which `skipLibCheck` would skip.
  test(`TypeScript ${version}, ${resolution.moduleResolution}`, async () => {
    const options = { ...resolution, skipLibCheck: false, exactOptionalPropertyTypes: true, types: ['node'] }
    const files = ['shop.ts', 'shop.mts', 'assignable.ts', 'stored.ts', 'esm.mts']
    const read = await compile(compiler, application, options, files)
    assert.ok(read.includes(application.path('node_modules/goscope-postgres/index.d.mts')), read)
  })

  test(`TypeScript ${version}, ${resolution.moduleResolution}, without @types/node and @types/pg`, async () => {
    const files = ['bare.ts', 'bare.mts']
    const read = await compile(compiler, untyped, { ...resolution, skipLibCheck: false, types: [] }, files)
    assert.doesNotMatch(read, /@types[\\/]/)
  })
}

for (const { compiler, version } of runs) {
  test(`TypeScript ${version}: what it compiles runs, as CommonJS and as an ES module`, async () => {
    const outDir = `${compiler}-out`
    // The declarations have been checked above.
    const options = { module: 'nodenext', noEmit: false, rootDir: '.', outDir, types: ['node'], skipLibCheck: true }
    await compile(compiler, application, options, ['shop.ts', 'shop.mts'])
    const env = { APP_DATABASE_URL: (await database).url }
    assert.match(fs.readFileSync(application.path(outDir, 'shop.js'), 'utf8'), /require\("goscope-postgres"\)/)
    assert.match(
      fs.readFileSync(application.path(outDir, 'shop.mjs'), 'utf8'),
      /^import .*'goscope-postgres';$|from 'goscope-postgres'/m,
    )
    for (const file of ['shop.js', 'shop.mjs']) {
      assert.match(await application.succeed([path.join(outDir, file)], { env }), /^the shop worked$/m)
    }
  })
}
