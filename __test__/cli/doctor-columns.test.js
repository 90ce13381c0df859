// @ts-check
// @configurations last
// @without first: doctor on other tables; here cli/doctor and cli/doctor-failing run
// `goscope-postgres doctor`, on incomplete tables: it names each gap. A gap that affects no adapter does not fail.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const { runCommand } = require('../support/command.js')
const { administer, useDatabase } = require('../support/database.js')
const { examine } = require('../support/doctor.js')
const { grants, migration, urlAs } = require('../support/route.js')

const [renamed, unused, refused] = Array.from({ length: 3 }, () => useDatabase())

const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
const made = administer(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
after(() => administer(`DROP ROLE IF EXISTS ${role}`))

test('a missing column is named, also if rows are counted by it', async () => {
  const db = await renamed
  await db.query(migration('schema.sql'))
  for (const [table, column] of [
    ['locks', 'expires_at'],
    ['circuit', 'key'],
    ['cache', 'expires_at'],
    ['checkpoints', 'task_id'],
    ['idempotency', 'value'],
  ]) {
    await db.query(`ALTER TABLE go_goscope_${table} RENAME COLUMN ${column} TO elsewhere`)
    const { code, failed, check } = await examine(db.ownUrl)
    assert.deepEqual([code, failed], [1, [`go_goscope_${table} columns`]])
    assert.match(check(`go_goscope_${table} columns`).message, new RegExp(`^${column} is missing`))
    await db.query(`ALTER TABLE go_goscope_${table} RENAME COLUMN elsewhere TO ${column}`)
  }
  await db.query('ALTER TABLE go_goscope_locks RENAME COLUMN expires_at TO elsewhere')
  const { stderr } = await runCommand(['locks'], { DATABASE_URL: db.ownUrl })
  assert.match(stderr, /`goscope-postgres doctor` says which/)
})

test('created_at, which no adapter uses, may be missing', async () => {
  const db = await unused
  await db.query(migration('schema.sql'))
  const { rows } = await db
    .pool()
    .query("SELECT table_name AS of FROM information_schema.columns WHERE column_name = 'created_at'")
  assert.ok(rows.length > 0)
  for (const { of } of rows) await db.query(`ALTER TABLE ${of} DROP COLUMN created_at`)
  await db.query(`CREATE TABLE four (key text PRIMARY KEY, value jsonb NOT NULL, expires_at timestamp,
    accessed_at timestamp DEFAULT now()); CREATE INDEX ON four (expires_at)`)
  const { code, failed } = await examine(db.ownUrl, '--table', 'four')
  assert.deepEqual([code, failed], [0, []])
})

test('a lack of USAGE on the schema or EXECUTE on the fencing check is named, with the grant', async () => {
  const db = await refused
  await made
  await db.query(`${migration('schema.sql')}; ${grants(role)}`)
  const url = urlAs(db.ownUrl, role)
  assert.deepEqual((await examine(url, '--no-create-tables')).failed, [])

  const check = 'go_goscope_check_fencing_token'
  await db.query(`REVOKE EXECUTE ON FUNCTION ${check} FROM PUBLIC, ${role}`)
  const unfenced = (await examine(url)).check('go_goscope_locks rights')
  assert.equal(unfenced.status, 'warning')
  assert.match(unfenced.message, new RegExp(`^no EXECUTE of ${check}`))
  await db.query(String(unfenced.advice))
  const fenced = (await examine(url)).check('go_goscope_locks rights')
  assert.equal(fenced.status, 'ok')

  await db.query(`REVOKE USAGE ON SCHEMA public FROM PUBLIC, ${role}`)
  const { code, failed, check: find } = await examine(url)
  assert.equal(code, 1)
  const first = find(String(failed[0]))
  assert.match(first.message, new RegExp(`is not found: ${role} may use no schema`))
  assert.match(String(first.advice), /GRANT USAGE ON SCHEMA/)
})
