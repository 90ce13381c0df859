// @ts-check
// @configurations every
// The cost of loadLatest for the server, according to its plan for the statement. No time is measured.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { without } = require('../support/route.js')

const database = useDatabase()

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
  const client = await db.plain.connect()
  try {
    await client.query('BEGIN')
    for (const setting of ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'])
      await client.query(`SET LOCAL ${setting} = off`)
    await client.query('SET LOCAL plan_cache_mode = force_generic_plan')
    await client.query(`PREPARE latest AS ${query}`)
    for (const [task, most] of /** @type {[string, number][]} */ ([
      ['steps', 2],
      ['ties', 5_001],
    ])) {
      const { rows } = await client.query(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE latest ('${task}')`)
      const nodes = allNodes(rows[0]['QUERY PLAN'][0].Plan)
      assert.equal(nodes[0]['Actual Rows'], 1, 'rows sent')
      const scans = nodes.filter((node) => node['Node Type'].includes('Scan') && node['Relation Name'])
      assert.deepEqual(
        scans.map((node) => [node['Node Type'], node['Scan Direction']]),
        [['Index Scan', 'Backward']],
      )
      const read = scans[0]['Actual Rows']
      assert.ok(read <= most, `${read} rows read for ${task}`)
      assert.ok(nodes.some((node) => node['Node Type'] === 'Incremental Sort'))
    }
    await client.query('ROLLBACK')
  } finally {
    client.release()
  }
})

/**
 * @param {any} node of a plan
 * @returns {any[]} it and all nodes below it
 */
const allNodes = (node) => [node, ...(node.Plans ?? []).flatMap(allNodes)]
