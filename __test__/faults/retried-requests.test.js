// @ts-check
// @configurations first
// A request that is retried pauses between its attempts, and its connection serves other requests meanwhile.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()

/** The pauses grow to 1,280 ms. If each of these calls waited for one, the guard would end the test. */
const OTHERS = 150

test('an extend that fails with 40001 again and again delays no other key, max 1', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ max: 1 }))
  await adapter.connect()
  const handle = await adapter.acquire('retried', 600_000, 'owner')
  assert.ok(handle)
  await db.query('CREATE TABLE attempts (n serial)')
  // It fails until the other calls have been made: a rollback does not affect sequences.
  await db.query('CREATE SEQUENCE failures')
  await db.query(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT count(*) FROM attempts) < 1 THEN
      PERFORM nextval('failures');
      RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
    END IF;
    RETURN new; END $$`)
  await db.query(`CREATE TRIGGER fails BEFORE UPDATE ON go_goscope_locks FOR EACH ROW
    WHEN (old.key = 'lock:retried') EXECUTE FUNCTION fail()`)
  await db.query('GRANT SELECT ON attempts TO PUBLIC; GRANT ALL ON SEQUENCE failures TO PUBLIC')

  /** @type {string[]} */
  const order = []
  const extended = handle.extend(300_000).then((value) => {
    order.push('extend')
    return value
  })
  const other = adapter.acquire('retried', 1_000, 'other').then((value) => {
    order.push('acquire')
    return value
  })
  const others = async () => {
    for (let n = 0; n < OTHERS; n++) {
      await adapter.set('other', n)
      assert.equal(await adapter.get('other'), n)
    }
  }
  await inTime('the calls on another key', others())
  assert.deepEqual(order, [], 'the retried request has ended')
  const [{ n }] = await db.query('SELECT last_value::int AS n FROM failures')
  await db.query('INSERT INTO attempts DEFAULT VALUES')
  assert.equal(await inTime('the extend', extended), true)
  assert.equal(await inTime('the acquire', other), null)
  assert.deepEqual(order, ['extend', 'acquire'], 'a later call on the key overtook the retried one')
  console.log(`# figure: ${2 * OTHERS} calls on another key during ${n} failed attempts, one connection`)
  await adapter.disconnect()
})
