// @ts-check
// @configurations every
// @without poolers: each driver’s schema is a setting of its sessions
// @without role, partitions: each driver makes its tables
// What an application sees when this package replaces the pg-based one. Random sequences of operations, and scenarios,
// run on a reference written with pg, and on this package. One list contains all differences, and everything in the
// list is a difference. It runs in every configuration, because our results must agree with a reference in UTC in any
// time zone. `npm test` runs as many sequences as show every difference, and the other configurations a third of them.
//
//   GOSCOPE_TEST_SEEDS=2000        the number of sequences, or, as 2000-2999, the sequences of these seeds
//   GOSCOPE_TEST_REPLAY=17:0,4,9   the operations 0, 4 and 9 of the sequence of seed 17, as a failure prints it
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { inspect } = require('node:util')
const { explanations } = require('../support/differential/explanations.js')
const { scenarios } = require('../support/differential/scenarios.js')
const { Comparison, operations } = require('../support/differential/sequences.js')
const { Driver } = require('../support/differential/drivers.js')
const { useDatabase } = require('../support/database.js')
const { differences } = require('../support/differential/differences.js')

/** As many as show every difference. */
const ALL_SEQUENCES = 90
const DEFAULT_SEQUENCES = process.env.GOSCOPE_TEST_GROUP === 'servers' ? ALL_SEQUENCES / 3 : ALL_SEQUENCES
const OPERATIONS = 40
const REPLAY = process.env.GOSCOPE_TEST_REPLAY

/** Whether there are fewer sequences than the number that is known to show every difference. */
const isPartial = REPLAY !== undefined || sequences().length < ALL_SEQUENCES

const database = useDatabase()

/** How many of the sequences run once more, with our calls by `within`. */
const PART_WITHIN = 1 / 6

/** @type {Comparison} */
let comparison
/** The same, with our calls by `within(client)`. @type {Comparison} */
let comparisonWithin

before(async () => {
  const db = await database
  await db.query('CREATE SCHEMA reference; CREATE SCHEMA ours')
  const [reference, ours] = [new Driver(db, 'reference'), new Driver(db, 'ours')]
  for (const driver of [ours, reference]) {
    await driver.run(async () => {
      await driver.adapter().connect()
      await driver.results().connect()
      await driver.cache().initialize()
    })
  }
  // It has checkpoint methods, but makes no table for them.
  await db.query('CREATE TABLE reference.go_goscope_checkpoints (LIKE ours.go_goscope_checkpoints INCLUDING ALL)')
  const allowed = differences.map(({ id }) => ({ id, explain: explanations[id] }))
  comparison = new Comparison(db, reference, ours, allowed)
  const within = new Driver(db, 'ours', { isWithin: true })
  comparisonWithin = new Comparison(db, reference, within, allowed)
})

test('random sequences of operations differ from the reference only as listed', async () => {
  const all = sequences()
  await compare(comparison, all)
  const seen = differences.flatMap(({ id }) => (comparison.seen.has(id) ? `${id} ${comparison.seen.get(id)}` : []))
  console.log(`# figure: ${all.length} sequences, ${comparison.operations} operations`)
  console.log(`# figure: differences as listed: ${seen.join(', ')}`)
})

test('sequences of operations within transactions differ from the reference only as listed', async () => {
  const all = sequences()
  await compare(comparisonWithin, all.slice(0, Math.ceil(all.length * PART_WITHIN)))
  const { operations, ours } = comparisonWithin
  console.log(`# figure: ${operations} operations, ${ours.transactions} of them within transactions`)
  assert.ok(ours.transactions > operations / 2)
})

if (!isPartial) {
  test('the sequences show every difference that they may show', () => {
    const unseen = Object.keys(explanations).filter((id) => !comparison.seen.has(id))
    assert.deepEqual(unseen, [])
  })
}

for (const [id, { run, theirs, ours, settings }] of Object.entries(scenarios)) {
  test(`scenario: ${id}`, async () => {
    const db = await database
    for (const [name, expected] of /** @type {const} */ ([
      ['reference', theirs],
      ['ours', ours],
    ])) {
      const schema = `${name}_${id.replaceAll('-', '_')}`
      await db.query(`CREATE SCHEMA ${schema}`)
      const driver = new Driver(db, name, { schema, settings })
      assert.deepEqual(await driver.run(() => run(driver)), expected, name)
    }
    assert.notDeepEqual(theirs, ours)
  })
}

test('after disconnect(), every method of both rejects with the same message', async () => {
  const db = await database
  const refusals = async (/** @type {'reference' | 'ours'} */ name) => {
    const driver = new Driver(db, name)
    const adapter = driver.adapter()
    await adapter.disconnect()
    const state = { state: 'open', failureCount: 1 }
    const calls = [
      adapter.connect(),
      adapter.acquire('key', 1000),
      adapter.extend('key', 1000, 'owner'),
      adapter.forceRelease('key'),
      adapter.getState('key'),
      adapter.setState('key', state),
      adapter.recordFailure('key', 1),
      adapter.recordSuccess('key'),
      ...[adapter, driver.cache()].flatMap((it) => [it.get('a'), it.set('a', 1), it.delete('a'), it.has('a')]),
      ...[adapter, driver.cache()].flatMap((it) => [it.clear(), it.keys()]),
      driver.cache().stats(),
      driver.cache().prune(),
      adapter.save({ id: 'c', taskId: 't', sequence: 1, timestamp: 1, progress: 0, data: 1 }),
      ...['load', 'loadLatest', 'list', 'deleteAll'].map((method) => adapter[method]('t')),
      adapter.cleanup('t', 1),
      ...[driver.results().get('a'), driver.results().set('a', 1), driver.results().delete('a')],
    ]
    return (await Promise.allSettled(calls)).map((it) => it.status === 'rejected' && it.reason.message)
  }
  const theirs = await refusals('reference')
  assert.ok(theirs.every((message) => message === 'Cannot use a pool after calling end on the pool'))
  assert.deepEqual(await refusals('ours'), theirs)
})

test('every listed difference is found by the sequences or shown by a scenario, and nothing else is', () => {
  const shown = new Set([...Object.keys(explanations), ...Object.keys(scenarios)])
  assert.deepEqual(differences.map(({ id }) => id).sort(), [...shown].sort())
})

const root = path.join(__dirname, '../..')
const file = (/** @type {string} */ name) => fs.readFileSync(path.join(root, name), 'utf8')

test('the table of differences in docs/from-pg-adapter.md is the list', () => {
  const rows = file('docs/from-pg-adapter.md').match(/^\| `[\w-]+` \| [^|]+ \| [^|]+ \|$/gm)
  assert.deepEqual(
    rows,
    differences.map(({ id, difference, reason }) => `| \`${id}\` | ${difference} | ${reason} |`),
  )
})

test('every listed difference is promised', () => {
  const pages = fs
    .readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
  const flat = (/** @type {string} */ text) => text.replace(/\n\s*(\* )?/g, ' ')
  const promised = ['README.md', ...pages, 'index.d.ts'].map((name) => flat(file(name))).join('')
  const unpromised = differences.filter(({ promise }) => !promised.includes(promise))
  assert.deepEqual(
    unpromised.map(({ id, promise }) => `${id}: ${promise}`),
    [],
  )
})

/**
 * @param {Comparison} comparison
 * @param {[number, import('../support/differential/operations.js').Operation[]][]} sequences
 */
async function compare(comparison, sequences) {
  for (const [seed, sequence] of sequences) {
    if (await comparison.run(sequence)) assert.fail(await report(comparison, seed, sequence))
  }
}

/** @returns {[number, import('../support/differential/operations.js').Operation[]][]} */
function sequences() {
  if (REPLAY) {
    const [seed, numbers] = REPLAY.split(':')
    const all = operations(Number(seed), OPERATIONS)
    return [[Number(seed), numbers ? numbers.split(',').map((n) => all[Number(n)]) : all]]
  }
  const [from, to] = seeds()
  return Array.from({ length: to - from + 1 }, (_, n) => [from + n, operations(from + n, OPERATIONS)])
}

function seeds() {
  const bounds = (process.env.GOSCOPE_TEST_SEEDS ?? String(DEFAULT_SEQUENCES)).split('-').map(Number)
  return bounds.length === 1 ? [0, bounds[0] - 1] : bounds
}

/**
 * @param {Comparison} comparison
 * @param {number} seed
 * @param {import('../support/differential/operations.js').Operation[]} sequence
 */
async function report(comparison, seed, sequence) {
  const shortest = await comparison.shrink(sequence)
  const observed = await comparison.run(shortest)
  const calls = shortest.map((operation) => `  ${callText(operation)}`)
  const outcome = observed && {
    theirs: observed.theirs,
    ours: observed.ours,
    rows: observed.rows,
  }
  return [
    'The drivers differ in what is not listed, after',
    ...calls,
    inspect(outcome, { depth: 9, breakLength: 120, maxStringLength: 300 }),
    `Again: GOSCOPE_TEST_REPLAY=${seed}:${shortest.map(({ n }) => n).join()} node __test__/run.js ${path.relative(process.cwd(), __filename)}`,
  ].join('\n')
}

/**
 * @param {import('../support/differential/operations.js').Operation} operation
 * @returns {string}
 */
function callText(operation) {
  if (!('on' in operation)) return operation.method
  const { on, prefix, method, args, taken } = operation
  const given = args.map((arg) => inspect(arg, { depth: 9, breakLength: Infinity, maxStringLength: 100 })).join(', ')
  const target = taken ? `(the handle of ${callText(taken)})` : on
  return `${target}${prefix ? ` of '${prefix}'` : ''}: ${method}(${given})`
}
