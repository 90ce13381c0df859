// @ts-check
// @configurations every
// The cost of reads for the server, according to its plans for the statements. No time is measured.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { without } = require('../support/route.js')

const [database, parts, pages] = Array.from({ length: 3 }, () => useDatabase())

test('loadLatest reads only the checkpoints of the highest sequence, and only one is sent', {
  skip: without.sessions || without.oneTable,
}, async () => {
  const db = await database
  const name = 'loads latest'
  const checkpoints = new PostgresAdapter(db.pool({ application_name: name, max: 1 }))
  await checkpoints.connect()
  const insert = 'INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, data)'
  await db.query(`${insert} SELECT 'tie ' || n, 'ties', 7, n % 50, '{}' FROM generate_series(1, 5000) AS n`)
  await db.query(`${insert} SELECT 'step ' || n, 'steps', n, n, '{}' FROM generate_series(1, 5000) AS n`)
  await db.query(`${insert} VALUES ('last', 'ties', 7, 50, '{}')`)
  assert.equal((await checkpoints.loadLatest('ties'))?.id, 'last')
  const [{ query }] = await db.query('SELECT query FROM pg_stat_activity WHERE application_name = $1', [name])
  assert.match(query, /SELECT task_id/)
  await explained(db, query, async (explain) => {
    for (const [task, most] of /** @type {[string, number][]} */ ([
      ['steps', 2],
      ['ties', 5_001],
    ])) {
      const nodes = await explain(`'${task}'`)
      assert.equal(nodes[0]['Actual Rows'], 1, 'rows sent')
      const scans = scansOf(nodes)
      assert.deepEqual(
        scans.map((node) => [node['Node Type'], node['Scan Direction']]),
        [['Index Scan', 'Backward']],
      )
      const read = scans[0]['Actual Rows']
      assert.ok(read <= most, `${read} rows read for ${task}`)
      assert.ok(nodes.some((node) => node['Node Type'] === 'Incremental Sort'))
    }
  })
})

test('a part of a list reads the part and one more, from either end and from the middle', {
  skip: without.sessions || without.oneTable,
}, async () => {
  const db = await parts
  const name = 'lists parts'
  const checkpoints = new PostgresAdapter(db.pool({ application_name: name, max: 1 }))
  await checkpoints.connect()
  await db.query(`INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, data)
    SELECT 'step ' || n, 'steps', n, n, '{}' FROM generate_series(1, 5000) AS n`)
  for (const order of /** @type {const} */ (['asc', 'desc'])) {
    assert.equal((await checkpoints.list('steps', { limit: 5, before: 2_500, order })).length, 5)
    const [{ query }] = await db.query('SELECT query FROM pg_stat_activity WHERE application_name = $1', [name])
    assert.match(query, /sequence <= \$2/)
    await explained(db, query, async (explain) => {
      for (const most of [2_499, '9223372036854775807']) {
        const nodes = await explain(`'steps', ${most}, 5`)
        assert.equal(nodes[0]['Actual Rows'], 5, 'rows sent')
        const read = scansOf(nodes).reduce((sum, node) => sum + node['Actual Rows'], 0)
        assert.ok(read <= 6, `${read} rows read for 5, ${order}, up to ${most}`)
      }
    })
  }
})

test('a page of tasks reads the index in its order, and only as far as the page goes', {
  skip: without.sessions || without.oneTable,
}, async () => {
  const db = await pages
  const name = 'lists tasks'
  const checkpoints = new PostgresAdapter(db.pool({ application_name: name, max: 1 }))
  await checkpoints.connect()
  await db.query(`INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, data)
    SELECT 'step ' || n, 'task ' || lpad((n / 20)::text, 5, '0'), n, n, '{}' FROM generate_series(0, 19999) AS n`)
  await db.query('VACUUM ANALYZE go_goscope_checkpoints')
  const after = 'task 00500'
  assert.equal((await checkpoints.listTasks({ limit: 10, after })).length, 10)
  const [{ query }] = await db.query('SELECT query FROM pg_stat_activity WHERE application_name = $1', [name])
  assert.match(query, /DISTINCT task_id/)
  await explained(db, query, async (explain) => {
    const nodes = await explain(`E'\\x01#', '', '', 10, NULL, '', '${after}'`)
    assert.equal(nodes[0]['Actual Rows'], 10, 'rows sent')
    const read = scansOf(nodes).reduce((sum, node) => sum + node['Actual Rows'], 0)
    assert.ok(read <= 12 * 20, `${read} rows read for 10 tasks of 20 checkpoints`)
  })
})

/**
 * Explains a statement with several arguments, in the plan for any of them.
 *
 * @param {Awaited<typeof database>} db
 * @param {string} query
 * @param {(explain: (args: string) => Promise<any[]>) => Promise<void>} check gets all nodes of the plan, with what ran
 */
async function explained(db, query, check) {
  const client = await db.plain.connect()
  try {
    await client.query('BEGIN')
    for (const setting of ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'])
      await client.query(`SET LOCAL ${setting} = off`)
    await client.query('SET LOCAL plan_cache_mode = force_generic_plan')
    await client.query('DEALLOCATE ALL')
    await client.query(`PREPARE explained AS ${query}`)
    await check(async (args) => {
      const { rows } = await client.query(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE explained (${args})`)
      return allNodes(rows[0]['QUERY PLAN'][0].Plan)
    })
    await client.query('ROLLBACK')
  } finally {
    client.release()
  }
}

/** @param {any[]} nodes */
const scansOf = (nodes) => nodes.filter((node) => node['Node Type'].includes('Scan') && node['Relation Name'])

/**
 * @param {any} node of a plan
 * @returns {any[]} it and all nodes below it
 */
const allNodes = (node) => [node, ...(node.Plans ?? []).flatMap(allNodes)]
