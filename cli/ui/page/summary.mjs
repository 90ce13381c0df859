// @ts-check
// The overview, what a cache has, and the connections as `doctor` sees them.

import * as cell from './cells.mjs'
import { make, setData, setText } from './dom.mjs'
import { go, hrefOf } from './place.mjs'
import { showProblem } from './problem.mjs'
import { Table } from './table.mjs'
import { count, counted, duration, size } from './units.mjs'

/**
 * A part of a view: what it shows, of which events.
 *
 * @typedef {{ element: HTMLElement, events: string[], show: (event: string, data: any) => void, tick?: () => void }} Part
 */

/** Views by the table that they show. @type {Record<string, string>} */
const VIEW_OF = {
  go_goscope_locks: 'locks',
  go_goscope_circuit: 'circuits',
  go_goscope_cache: 'cache',
  go_goscope_checkpoints: 'tasks',
  go_goscope_idempotency: 'results',
}

class Facts {
  element = make('dl', { class: 'facts' })
  /** @type {Map<string, HTMLElement>} */
  #values = new Map()

  /** @param {[label: string, value: string][]} facts */
  show(facts) {
    for (const [label, value] of facts) {
      let shown = this.#values.get(label)
      if (shown === undefined) {
        shown = make('dd')
        this.#values.set(label, shown)
        this.element.append(make('div', {}, make('dt', {}, label), shown))
      }
      setData(shown, value)
    }
  }
}

/** @returns {Part} */
export function overview() {
  const [problem, facts] = [make('div', { class: 'notice', role: 'alert' }), new Facts()]
  problem.hidden = true
  const tables = new Table(
    [
      {
        title: 'Table',
        cell: cell.link(
          ({ name }) => name,
          ({ name }) => hrefOf({ view: VIEW_OF[name] ?? 'overview' }),
        ),
      },
      { title: 'Rows', cell: cell.text(rowsOf), kind: 'number' },
      { title: 'On disk', cell: cell.text(({ bytes }) => size(bytes)), kind: 'number' },
      { title: 'What', cell: cell.text(whatOf), kind: 'wide' },
    ],
    { caption: 'The tables', nothing: 'No tables.' },
  )
  return {
    element: make('section', {}, problem, facts.element, tables.element),
    events: ['status'],
    show(_event, data) {
      showProblem(problem, data.failure)
      if (data.failure) return
      facts.show(serverFacts(data))
      tables.show(data.tables.map((/** @type {any} */ table) => ({ ...table, storedKey: table.name })))
    },
  }
}

/** @param {any} status @returns {[string, string][]} */
const serverFacts = ({ server, connections }) => [
  ['Server', `PostgreSQL ${server.version}${server.isStandby ? ', a standby' : ''}`],
  ['Up for', duration(Date.now() - Date.parse(server.startedAt))],
  ['Database', `${server.database}, as ${server.role}`],
  ['Transport', `${server.tls ?? 'no TLS'}${server.isOwnSession ? '' : ', through a pooler'}`],
  ['Connections', `${count(connections.total)} of ${count(connections.max)}`],
]

/** @param {any} table */
const rowsOf = ({ exists, rows, isEstimate }) => (exists ? `${isEstimate ? 'about ' : ''}${count(rows)}` : '–')

/** @param {any} table */
function whatOf({ exists, isReadable, counts }) {
  if (!exists) return 'not there'
  if (!isReadable) return 'may not be read'
  if (counts === null) return 'too large to count'
  if (counts.open !== undefined) {
    return `${count(counts.open)} open, ${count(counts.halfOpen)} half-open, ${count(counts.closed)} closed`
  }
  if (counts.held !== undefined) return `${count(counts.held)} held, ${count(counts.expired)} expired`
  if (counts.tasks !== undefined) return `of ${count(counts.tasks)} tasks`
  return `${count(counts.live)} live, ${count(counts.expired)} expired`
}

/** @param {{ hitRatio: number | null }} hits */
const ratioOf = ({ hitRatio }) =>
  hitRatio === null ? 'no application serves it' : `${(100 * hitRatio).toFixed(1)} %, lately`

/** How much a cache has. @returns {Part} */
export function cacheSize() {
  const facts = new Facts()
  const shown = make('section', {}, facts.element)
  return {
    element: shown,
    events: ['size', 'hits'],
    show(event, data) {
      if (event === 'hits') return facts.show([['Hit ratio', ratioOf(data)]])
      if (data.failure || !data.exists) return
      const { counts } = data
      facts.show([
        [
          'Live',
          counts === null ? rowsOf(data) : `${count(counts.live)}, ${count(counts.withoutExpiry)} without expiry`,
        ],
        ['Expired', counts === null ? 'not counted' : `${count(counts.expired)}, which later calls remove`],
        ['Values', counts === null ? 'not counted' : size(counts.bytes)],
        ['On disk', `${size(data.bytes)}, with indexes`],
      ])
    },
  }
}

/** @returns {Part} */
export function connections() {
  const problem = make('div', { class: 'notice', role: 'alert' })
  problem.hidden = true
  const sessions = new Table(
    [
      { title: 'Application', cell: cell.data(({ application }) => application || '(no name)'), kind: 'wide' },
      { title: 'Connections', cell: cell.text(({ connections: number }) => count(number)), kind: 'number' },
    ],
    { caption: 'Connections to this database', nothing: 'None.' },
  )
  const facts = new Facts()
  const checks = checksTable()
  const again = make('button', { type: 'button' }, 'Check again')
  again.addEventListener('click', () => {
    setText(checks.summary, 'Checking …')
    go({ again: String(Date.now()) }, { replaces: true })
  })
  const heading = make('h2', {}, 'What doctor finds')
  return {
    element: make(
      'section',
      {},
      problem,
      facts.element,
      sessions.element,
      heading,
      checks.summary,
      again,
      checks.table.element,
    ),
    events: ['status', 'checks'],
    show(event, data) {
      showProblem(problem, data.failure)
      if (data.failure) return
      if (event === 'checks') return checks.show(data)
      facts.show(serverFacts(data))
      const rows = data.connections.ofDatabase
      sessions.show(rows.map((/** @type {any} */ row) => ({ ...row, storedKey: row.application })))
    },
  }
}

function checksTable() {
  const summary = make('p', { role: 'status' }, 'Checking …')
  const table = new Table(
    [
      { title: 'Check', cell: cell.text(({ name }) => name) },
      { title: 'Status', cell: cell.state },
      { title: 'Found', cell: cell.words(({ message }) => message), kind: 'wide' },
      { title: 'What to do', cell: cell.words(({ advice }) => advice ?? ''), kind: 'wide' },
    ],
    { caption: 'Checks, every minute while this is open', nothing: '' },
  )
  return {
    summary,
    table,
    /** @param {{ checks: any[] }} data */
    show({ checks }) {
      const of = (/** @type {string} */ status) => checks.filter((check) => check.status === status).length
      setText(
        summary,
        `${counted(checks.length, 'check')}: ${of('failed')} failed, ${counted(of('warning'), 'warning')}`,
      )
      table.show(checks.map((check) => ({ ...check, state: check.status, storedKey: check.name })))
    },
  }
}
