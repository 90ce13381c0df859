// @ts-check
// @configurations first
// What the command asks the server: one SELECT that only reads, whatever its text is.
'use strict'

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const { Session } = require('../../cli/session.js')
const { useDatabase } = require('../support/database.js')

/** @type {Session} */
let session
// Before the database is dropped.
after(() => session?.close())

const database = useDatabase()

before(async () => {
  const db = await database
  await db.query("CREATE TABLE kept (name text); INSERT INTO kept VALUES ('one')")
  session = new Session({ url: db.ownUrl })
})

test('a query gives its rows as objects, and takes texts as parameters', async () => {
  const sql = 'WITH given (id, name) AS (VALUES ($1::int, $2), (2, NULL)) SELECT * FROM given ORDER BY id -- the end'
  assert.deepEqual(await session.query(sql, ['1', 'a "name"']), [
    { id: 1, name: 'a "name"' },
    { id: 2, name: null },
  ])
  assert.deepEqual(await session.query('SELECT name FROM kept WHERE name IS NULL'), [])
  assert.equal(await session.row('SELECT name FROM kept WHERE name = $1', [null]), undefined)
  assert.deepEqual(await session.row('select json_build_array(1, $1::text) AS list', ['2']), { list: [1, '2'] })
})

/** What is asked, and how that is refused. */
const REFUSED = /** @type {[string, RegExp][]} */ ([
  ["INSERT INTO kept VALUES ('two')", /one SELECT that only reads, and this begins with 'INSERT'/],
  ['DELETE FROM kept', /begins with 'DELETE'/],
  ['TRUNCATE kept', /begins with 'TRUNCATE'/],
  ['', /begins with ''/],
  ['WITH gone AS (DELETE FROM kept RETURNING name) SELECT * FROM gone', /data-modifying statement must be at the top/],
  ['WITH one AS (SELECT 1) DELETE FROM kept', /syntax error at or near "DELETE"/],
  ['SELECT * INTO made FROM kept', /SELECT ... INTO is not allowed here/],
  ['SELECT 1; DROP TABLE kept', /syntax error at or near ";"/],
  // These close the bracket that the SELECT is put in.
  ['SELECT 1) AS answer; DROP TABLE kept; SELECT (SELECT 1', /multiple commands|syntax error at or near ";"/],
  ['SELECT 1) AS answer UNION SELECT name INTO made FROM (SELECT * FROM kept', /INTO is only allowed on first SELECT/],
])

for (const [sql, message] of REFUSED) {
  test(`a query that writes is refused: ${sql || 'nothing'}`, async () => {
    for (const options of [{}, { asApplication: true }]) await assert.rejects(session.query(sql, [], options), message)
    const db = await database
    assert.deepEqual(await db.query('SELECT name FROM kept'), [{ name: 'one' }])
    assert.deepEqual(await db.query("SELECT to_regclass('made') AS made"), [{ made: null }])
  })
}
