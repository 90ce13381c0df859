// @ts-check
// How the demo ends: every claim with what was measured, and the tables as they are in PostgreSQL.
'use strict'

const SAMPLE_ROWS = 2
const SAMPLE_WIDTH = 160

/**
 * @param {import('./display.js').Display} display
 * @param {import('./stage.js').Claim[]} claims
 */
function showClaims(display, claims) {
  const width = Math.max(...claims.map(({ text }) => text.length))
  display.line()
  display.line(display.paint('bold', 'Claims'))
  for (const { act, text, holds, figure } of claims) {
    const mark = holds ? display.paint('green', '✓') : display.paint('red', '✗')
    display.line(`  ${mark} ${act} ${text.padEnd(width)}  ${figure}`)
  }
}

/**
 * @param {import('./display.js').Display} display
 * @param {import('pg').Pool} pool
 */
async function showTables(display, pool) {
  display.line()
  display.line(display.paint('bold', 'Tables'))
  const { rows: tables } = await pool.query(
    'SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename',
  )
  for (const { name } of tables) {
    const { rows: counted } = await pool.query(`SELECT count(*)::int AS count FROM ${name}`)
    const { rows: samples } = await pool.query(`SELECT row_to_json(t)::text AS row FROM ${name} t LIMIT ${SAMPLE_ROWS}`)
    const { count } = counted[0]
    display.line(`  ${name.padEnd(24)} ${count === 1 ? '1 row' : `${count} rows`}`)
    for (const { row } of samples) display.line(display.paint('dim', `    ${shorten(display, row)}`))
  }
}

/**
 * @param {import('./display.js').Display} display
 * @param {string} row
 */
function shorten(display, row) {
  const width = Math.min(SAMPLE_WIDTH, display.width - 5)
  return row.length > width ? `${row.slice(0, width - 1)}…` : row
}

module.exports = { showClaims, showTables }
