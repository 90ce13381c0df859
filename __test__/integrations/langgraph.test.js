// @ts-check
// @configurations last
// @without first: it installs LangGraph and its suite
// @package packed
// The checkpoint saver for LangGraph, as npm installs it: LangGraph's own kit, and graphs that several processes run.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { createRequire } = require('node:module')
const { before, test } = require('node:test')
const { pathToFileURL } = require('node:url')
const { Consumer, PG, tarball } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { TYPES, compile } = require('../support/libraries/types.js')

const KIT = '@langchain/langgraph-checkpoint-validation@1.1.1'
const SPECS = [
  '@langchain/langgraph@1.7.3',
  '@langchain/langgraph-checkpoint@1.2.2',
  '@langchain/core@1.4.0',
  'vitest@4.1.12',
  KIT,
]
const STEPS = ['start', 'state', 'resume', 'history', 'travel', 'copy', 'change', 'namespaces', 'delete']
const TABLES = ['go_goscope_checkpoints', 'go_goscope_langgraph_writes']

const database = useDatabase()
const application = new Consumer()

before(async () => {
  await application.install([await tarball(), PG, ...SPECS, ...TYPES])
  fs.cpSync(path.join(__dirname, 'suites/langgraph'), application.folder, { recursive: true })
})

/** @param {string[]} args */
const node = async (...args) => application.succeed(args, { env: { APP_DATABASE_URL: (await database).url } })

/**
 * What the packages export.
 *
 * @returns {Promise<any>}
 */
async function load() {
  const require = createRequire(application.path('package.json'))
  const [langgraph, ours] = ['@langchain/langgraph-checkpoint', 'goscope-postgres/langgraph'].map(async (name) => ({
    ...(await import(pathToFileURL(require.resolve(name)).href)),
  }))
  return { ...(await langgraph), ...(await ours) }
}

/** How many rows a test has left under its prefix. @param {string} prefix */
async function rowsLeft(prefix) {
  const db = await database
  const counts = TABLES.map(async (table) => {
    const column = table === 'go_goscope_checkpoints' ? 'id' : 'key'
    const [{ n }] = await db.query(`SELECT count(*)::int AS n FROM ${table} WHERE starts_with(${column}, $1)`, [prefix])
    return n
  })
  return await Promise.all(counts)
}

for (const form of ['import', 'require']) {
  test(`LangGraph's kit for savers passes, with ${form}`, async (t) => {
    const report = `report-${form}.json`
    const { output } = await application.run(
      ['node_modules/vitest/vitest.mjs', 'run', '--globals', '--reporter=json', `--outputFile=${report}`],
      { env: { APP_DATABASE_URL: (await database).url, APP_FORM: form } },
    )
    const { numTotalTests, numPassedTests, testResults } = JSON.parse(fs.readFileSync(application.path(report), 'utf8'))
    assert.ok(numTotalTests > 700, output)
    const others = testResults
      .flatMap((/** @type {any} */ file) => file.assertionResults)
      .filter((/** @type {any} */ result) => result.status !== 'passed')
    assert.deepEqual(others, [])
    t.diagnostic(`figure: ${numPassedTests} tests of ${KIT} passed`)
  })
}

test('interrupts, resumption, time travel, copies and a subgraph: each step in a process of its own, as in one in memory', async () => {
  const expected = (await node('graph.mjs', 'memory')).trim().split('\n')
  assert.equal(expected.length, STEPS.length)
  for (const [at, step] of STEPS.entries()) {
    const [line = ''] = (await node('graph.mjs', step)).trim().split('\n')
    assert.deepEqual(JSON.parse(line), JSON.parse(expected[at] ?? ''))
  }
  assert.deepEqual(await rowsLeft('langgraph:'), [0, 0])
})

test('of the writes of a task that several processes run, the first stay, whole; of interrupts, the last', async () => {
  const names = ['Ada', 'Bob', 'Cem']
  const { PostgresCheckpointSaver, emptyCheckpoint } = await load()
  const saver = new PostgresCheckpointSaver((await database).url)
  const config = (/** @type {number} */ round) => ({
    configurable: { thread_id: 'raced', checkpoint_ns: '', checkpoint_id: `round ${round}` },
  })
  for (let round = 0; round < 60; round++) {
    await saver.put(
      config(round),
      { ...emptyCheckpoint(), id: `round ${round}` },
      { source: 'loop', step: 0, parents: {} },
      {},
    )
  }
  await Promise.all(names.map((name) => node('writers.mjs', name, 'writes', '3')))

  const winners = new Set()
  for (let round = 0; round < 60; round++) {
    const { pendingWrites } = await saver.getTuple(config(round))
    const of = (/** @type {string} */ task) =>
      pendingWrites.filter((/** @type {any} */ [each]) => each === task).map((/** @type {any} */ [, ...write]) => write)
    for (const name of names) assert.deepEqual(of(name), [['one', name]])
    const [[channel, last], [, first], [, second]] = of('shared')
    assert.equal(channel, '__interrupt__')
    assert.ok(names.includes(last) && names.includes(first))
    assert.equal(first, second)
    winners.add(first)
    await saver.putWrites(config(round), [['__interrupt__', 'Dan'], ['one', 'Dan']], 'shared') // biome-ignore format: one call
    const after = (await saver.getTuple(config(round))).pendingWrites
    assert.deepEqual(
      after.flatMap((/** @type {string[]} */ [task, , value]) => (task === 'shared' ? [value] : [])),
      ['Dan', first, first],
    )
  }
  // Otherwise they did not race.
  assert.ok(winners.size > 1)
  await saver.deleteThread('raced')
  assert.deepEqual(await rowsLeft('langgraph:'), [0, 0])
  await saver.close()
})

test('a thread that is deleted while a graph runs has whole checkpoints, or none; the next deletion leaves nothing', async () => {
  const { PostgresCheckpointSaver } = await load()
  const saver = new PostgresCheckpointSaver((await database).url)
  const runs = { Ada: 'run', Bob: 'delete', Cem: 'delete' }
  await Promise.all(Object.entries(runs).map(([name, how]) => node('writers.mjs', name, how, '3')))
  let checkpoints = 0
  for await (const { metadata, pendingWrites } of saver.list({ configurable: { thread_id: 'raced' } })) {
    checkpoints++
    if (metadata.step < 150) assert.deepEqual(pendingWrites, [['task', 'step', metadata.step]])
  }
  // The last one is put after all deletions, or is deleted with the others.
  assert.ok(checkpoints <= 151)
  await saver.deleteThread('raced')
  assert.deepEqual(await rowsLeft('langgraph:'), [0, 0])
  await saver.close()
})

test('a deletion that was interrupted is finished by the next one', async () => {
  const { PostgresCheckpointSaver, emptyCheckpoint } = await load()
  const db = await database
  const saver = new PostgresCheckpointSaver(db.pool(), { keyPrefix: 'half:' })
  const metadata = { source: 'input', step: -1, parents: {} }
  const config = await saver.put({ configurable: { thread_id: 't' } }, emptyCheckpoint(), metadata, {})
  await saver.putWrites(config, [['channel', 'value']], 'task')
  const { rows } = await db.plain.query('SELECT * FROM go_goscope_langgraph_writes WHERE starts_with(key, $1)', [
    'half:',
  ])
  assert.equal(rows.length, 1)
  const blocking = await db.hold('SELECT FROM go_goscope_langgraph_writes WHERE key = $1 FOR UPDATE', [rows[0].key])
  const deleting = saver.deleteThread('t')
  await db.untilWaiting()
  // No reader finds the thread any more, and the writes are still there.
  const other = new PostgresCheckpointSaver(db.pool(), { keyPrefix: 'half:' })
  assert.equal(await other.getTuple({ configurable: { thread_id: 't' } }), undefined)
  assert.equal(await other.getTuple(config), undefined)
  await other.close()
  assert.deepEqual(await rowsLeft('half:'), [1, 1])
  await db.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
  )
  await assert.rejects(deleting)
  await blocking.rollback()
  assert.deepEqual(await rowsLeft('half:'), [1, 1])
  await saver.deleteThread('t')
  assert.deepEqual(await rowsLeft('half:'), [0, 0])
  await saver.close()
})

test('values are exactly those that the serializer has made: bytes, U+0000, lone surrogates, what is no text', async () => {
  const { PostgresCheckpointSaver, emptyCheckpoint } = await load()
  const serde = {
    dumpsTyped: async (/** @type {any} */ value) =>
      value instanceof Uint8Array ? ['bytes', value] : ['json', Buffer.from(`\ufeff${JSON.stringify(value)}`)],
    loadsTyped: async (/** @type {string} */ type, /** @type {Uint8Array} */ bytes) =>
      type === 'bytes' ? bytes : JSON.parse(Buffer.from(bytes).toString().slice(1)),
  }
  const saver = new PostgresCheckpointSaver((await database).url, { keyPrefix: 'exact:', serde })
  const given = { configurable: { thread_id: 7 } }
  const values = { z: 'a\0b \ud800', a: 0.1, 10: -0, 9: '€' }
  const metadata = { source: 'input', step: -1, parents: {} }
  const config = await saver.put(given, { ...emptyCheckpoint(), channel_values: values }, metadata, {
    z: 1,
    a: 1,
    10: 1,
    9: 1,
  })
  const written = [
    Buffer.from('text'),
    Buffer.from([0]),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('\ufefftext'),
    Buffer.from(''),
  ]
  await saver.putWrites(
    config,
    written.map((bytes, at) => [`c${at}`, new Uint8Array(bytes)]),
    'task',
  )
  const { checkpoint, pendingWrites } = await saver.getTuple(given)
  assert.equal(JSON.stringify(checkpoint.channel_values), JSON.stringify(values))
  assert.deepEqual(
    pendingWrites.map((/** @type {any} */ [, , bytes]) => Buffer.from(bytes)),
    written,
  )
  assert.equal(config.configurable.thread_id, 7)
  await saver.close()
})

test('hundreds of checkpoints in the same milliseconds are listed each once, the newest first, whatever the namespace', async () => {
  const { PostgresCheckpointSaver, emptyCheckpoint, uuid6 } = await load()
  const saver = new PostgresCheckpointSaver((await database).url, { keyPrefix: 'pages:' })
  const namespaces = ['', 'child', ...Array.from({ length: 60 }, (_, at) => `child:${at}`)]
  const ids = Array.from({ length: 330 }, (_, at) => ({ id: uuid6(at), checkpoint_ns: namespaces[at % 2] ?? '' }))
  for (const checkpoint_ns of namespaces.slice(2)) ids.push({ id: uuid6(0), checkpoint_ns })
  const metadata = { source: 'loop', step: 1, parents: {} }
  await Promise.all(
    ids.map(({ id, checkpoint_ns }) =>
      saver.put({ configurable: { thread_id: 't', checkpoint_ns } }, { ...emptyCheckpoint(), id }, metadata, {}),
    ),
  )
  const list = async (/** @type {any} */ configurable, /** @type {any} */ options = {}) => {
    const found = []
    for await (const { config } of saver.list({ configurable }, options)) found.push(config.configurable.checkpoint_id)
    return found
  }
  for (const checkpoint_ns of namespaces) {
    const expected = ids.filter((each) => each.checkpoint_ns === checkpoint_ns).map(({ id }) => id)
    const newest = expected.sort().reverse()
    const of = { thread_id: 't', checkpoint_ns }
    assert.deepEqual(await list(of), newest)
    assert.equal((await saver.getTuple({ configurable: of })).config.configurable.checkpoint_id, newest[0])
    // Without an id it limits nothing.
    const before = { configurable: { checkpoint_id: newest.at(-2) } }
    assert.deepEqual(await list(of, { before }), newest.length > 1 ? newest.slice(-1) : newest)
    assert.deepEqual(await list(of, { limit: 120 }), newest.slice(0, 120))
  }
  assert.deepEqual((await list({ thread_id: 't' })).sort(), ids.map(({ id }) => id).sort())
  assert.equal(await saver.getTuple({ configurable: { thread_id: 't', checkpoint_ns: 'none' } }), undefined)
  assert.deepEqual(await list({ thread_id: 't' }, { filter: { step: 2 } }), [])
  await saver.close()
})

test('a connection string makes one pool, and a misspelt option is refused', async () => {
  const { PostgresCheckpointSaver, emptyCheckpoint } = await load()
  const db = await database
  const saver = new PostgresCheckpointSaver({ connectionString: db.url, application_name: 'saver', max: 1 })
  await saver.setup()
  const config = { configurable: { thread_id: 't' } }
  await Promise.all([saver.put(config, emptyCheckpoint(), { step: 0 }, {}), saver.getTuple(config)])
  const [{ n }] = await db.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'saver'")
  assert.equal(n, 1)
  await saver.close()
  await assert.rejects(saver.getTuple(config), { code: 'ERR_ADAPTER_CLOSED' })
  assert.throws(() => new PostgresCheckpointSaver(db.url, { keyprefix: 'x' }), { code: 'ERR_INVALID_ARG_VALUE' })
})

for (const file of ['langgraph.ts']) {
  test('the types are those of LangGraph', () => compile(application, `integrations/types/${file}`))
}

test('writes that a graph adds to a checkpoint that is gone go with the next deletion', async () => {
  const { PostgresCheckpointSaver, emptyCheckpoint } = await load()
  const saver = new PostgresCheckpointSaver((await database).pool(), { keyPrefix: 'orphans:' })
  const metadata = { source: 'input', step: -1, parents: {} }
  const put = (/** @type {string} */ thread) =>
    saver.put({ configurable: { thread_id: thread, checkpoint_ns: '' } }, emptyCheckpoint(), metadata, {})
  const [config, other] = [await put('t'), await put('t"')]
  await saver.putWrites(other, [['channel', 'kept']], 'task')
  await saver.deleteThread('t')
  await saver.putWrites(config, [['__interrupt__', 'left behind']], 'task')
  assert.deepEqual(await rowsLeft('orphans:'), [1, 2])
  await saver.deleteThread('t')
  assert.deepEqual(await rowsLeft('orphans:'), [1, 1], 'those of the other thread')
  await saver.close()
})

test('options that are null are absent', async () => {
  const { PostgresCheckpointSaver } = await load()
  const saver = new PostgresCheckpointSaver((await database).pool(), { keyPrefix: null, writesTable: null })
  await saver.setup()
  const rows = await (await database).query("SELECT FROM pg_tables WHERE tablename = 'cache'")
  assert.equal(rows.length, 0)
  await saver.close()
})
