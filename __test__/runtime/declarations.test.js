// @ts-check
// @configurations first
// The compile-time declarations agree with the run time.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const typescript = require('typescript')
const { operations } = require('goscope-postgres')
const { GROUPS } = require('../../lib/groups.js')
const { NAMES } = require('../../lib/options.js')

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

/** The interfaces in which options are declared, by their user. @type {Record<keyof typeof NAMES, string[]>} */
const INTERFACES = {
  PostgresAdapter: ['PersistenceAdapterOptions'],
  PostgresCacheAdapter: ['PostgresCacheAdapterOptions'],
  PostgresIdempotencyAdapter: ['PostgresIdempotencyAdapterOptions'],
  acquire: ['AcquireOptions'],
  health: ['HealthOptions'],
  lock: ['LockOptions'],
  run: ['RunOptions', 'WorkLimit'],
  keys: ['KeysOptions'],
  iterateKeys: ['IterateKeysOptions'],
  clear: ['ClearOptions'],
  list: ['ListOptions'],
  listTasks: ['ListTasksOptions'],
  iterateTasks: ['IterateTasksOptions'],
  breaker: ['BreakerOptions'],
  runGuarded: ['GuardedRunOptions'],
  getOrSet: ['GetOrSetOptions', 'WorkLimit'],
  KeyvStore: ['KeyvStoreOptions', 'IntegrationTableOptions'],
  GoscopePostgresModule: ['GoscopePostgresModuleOptions'],
  PostgresCheckpointSaver: ['PostgresCheckpointSaverOptions'],
  SessionStore: ['SessionStoreOptions', 'IntegrationTableOptions'],
  storageDriver: ['StorageDriverOptions', 'IntegrationTableOptions'],
  PostgresRateLimiter: ['PostgresRateLimiterOptions', 'IntegrationTableOptions'],
  traceCalls: ['TraceCallsOptions'],
  observePool: ['ObservePoolOptions', 'LatencyProducerOptions'],
  LatencyProducer: ['LatencyProducerOptions'],
  toPrometheus: ['PrometheusOptions', 'PrometheusHandlerOptions'],
}
const DECLARED_IN = [
  'index.d.ts',
  'lib/types/integrations.d.ts',
  'lib/types/breaker.d.ts',
  'lib/types/health.d.ts',
  'keyv.d.ts',
  'express-session.d.ts',
  'unstorage.d.ts',
  'rate-limiter-flexible.d.ts',
  'langgraph.d.ts',
  'opentelemetry.d.ts',
  'prometheus.d.ts',
  'nestjs.d.ts',
]

/** @param {string} name of an interface */
function properties(name) {
  const declared = new RegExp(`export interface ${name}(?:<\\w+>)? (?:extends \\w+ )?\\{\\n(.*?)\\n\\}`, 's')
  const body = DECLARED_IN.map((file) => declared.exec(read(file))?.[1]).find(Boolean) ?? ''
  return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, property]) => property)
}

test('the declared options are the known options', () => {
  for (const [taker, interfaces] of Object.entries(INTERFACES)) {
    const declared = interfaces.flatMap(properties)
    assert.deepEqual(declared.sort(), [...NAMES[/** @type {keyof typeof NAMES} */ (taker)]].sort(), taker)
  }
})

test('each export has a category, for the API reference', () => {
  const types = fs.readdirSync(path.join(root, 'lib/types')).map((name) => `lib/types/${name}`)
  for (const file of new Set([...DECLARED_IN, 'embedded.d.ts', 'clients.d.ts', ...types])) {
    const exports = read(file).matchAll(/^export (?:declare )?(?:interface|type|class|function|const) (\w+)/gm)
    for (const { 1: name, index } of exports) {
      const comment = read(file).slice(0, index).split('/**').at(-1) ?? ''
      assert.match(comment, /@category [A-Z][a-z ]+\n/, `${file}: ${name}`)
    }
  }
})

test('the declared groups have the methods of the groups', () => {
  const file = path.join(root, 'index.d.ts')
  const program = typescript.createProgram([file], { lib: ['lib.es2023.d.ts'], types: [] })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file)
  assert.ok(source)
  const adapter = source.statements.find(
    (each) => typescript.isClassDeclaration(each) && each.name?.text === 'PostgresAdapter',
  )
  assert.ok(adapter)
  for (const [group, methods] of Object.entries(GROUPS)) {
    const property = checker.getTypeAtLocation(adapter).getProperty(group)
    assert.ok(property, group)
    const members = checker.getTypeOfSymbolAtLocation(property, adapter).getProperties()
    assert.deepEqual(members.map(({ name }) => name).sort(), [...methods].sort(), group)
  }
})

/** Codes of Node and OpenSSL that are forwarded or looked for, and the code for a missing package. */
const FOREIGN = [
  'ERR_INVALID_URL',
  'ERR_SOCKET_BAD_PORT',
  'ERR_DLOPEN_FAILED',
  'ERR_MODULE_NOT_FOUND',
  'ERR_PARSE_ARGS_INVALID_OPTION_VALUE',
  'ERR_PARSE_ARGS_UNKNOWN_OPTION',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]

test('the declared codes are the codes of the errors', () => {
  const files = ['cli', 'lib', 'src'].flatMap((folder) =>
    fs.readdirSync(path.join(root, folder), { recursive: true }).map((file) => path.join(folder, String(file))),
  )
  const sources = files.filter((file) => /\.(js|rs)$/.test(file)).map(read)
  const used = new Set(sources.flatMap((text) => [...text.matchAll(/\bERR_[A-Z]\w*[A-Z]\b/g)].map(([code]) => code)))
  const declared = [...read('lib/types/errors.d.ts').matchAll(/[:|] '(ERR_\w+)'/g)].map(([, code]) => String(code))
  const own = [...used].filter((code) => !FOREIGN.includes(code))
  assert.deepEqual(declared.sort(), own.sort())
})
