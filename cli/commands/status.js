// @ts-check
'use strict'

const { PREFIX } = require('../options.js')
const { tables: tablesOf } = require('../queries/catalogue.js')
const { COUNTED } = require('../queries/rows.js')
const { connections: connectionsOf, server: serverOf } = require('../queries/server.js')
const { tableStatus } = require('../table-status.js')
const { DOCUMENTED, quote } = require('../tables.js')
const { count, counted, duration, iso, size } = require('../units.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Tables of more than ${count(COUNTED)} rows are not counted: the server's estimate is shown, with a ~.

--json prints { server, tables: [{ name, schema, exists, isReadable, rows, isEstimate, bytes, counts }], connections },
where counts are { held, expired }, { open, halfOpen, closed }, { live, withoutExpiry, expired, bytes } or
{ checkpoints, tasks }, and null where the table is not counted.`,
  options: PREFIX,

  async look(session) {
    const [server, connections, found] = await Promise.all([
      serverOf(session),
      connectionsOf(session),
      tablesOf(
        session,
        DOCUMENTED.map(({ name }) => quote([name])),
      ),
    ])
    const tables = await Promise.all(
      DOCUMENTED.map((each) => tableStatus(session, { ...each, names: [quote([each.name])] }, found)),
    )
    const { settings, ...rest } = server
    const data = {
      server: { ...rest, startedAt: iso(rest.startedAt) },
      tables,
      connections: { ...connections, max: Number(settings.max_connections) },
    }
    return { data }
  },

  show({ server, tables, connections }, view) {
    const { ofDatabase } = connections
    const names = ofDatabase.map(
      (/** @type {any} */ { application, connections: n }) => `${application || '(no name)'} ${count(n)}`,
    )
    const facts = view.facts([
      [
        'server',
        `PostgreSQL ${server.version}${server.isStandby ? ', a standby' : ''}, up ${duration(Date.now() - Date.parse(server.startedAt))}`,
      ],
      ['database', `${server.database}, as ${server.role}, schema ${server.schema ?? '(none)'}`],
      [
        'transport',
        [whereOf(server), server.tls ?? 'no TLS', server.isOwnSession ? '' : 'through a pooler']
          .filter(Boolean)
          .join(', '),
      ],
      [
        'connections',
        `${count(connections.total)} of ${count(connections.max)}; to this database: ${names.join(', ')}`,
      ],
    ])
    const table = view.table(
      [
        { title: 'TABLE', cell: ({ name }) => name },
        { title: 'ROWS', align: 'right', cell: rowsOf },
        { title: 'SIZE', align: 'right', cell: ({ bytes }) => size(bytes) },
        { title: 'WHAT', cell: whatOf, shrinks: true },
      ],
      tables,
    )
    return `${facts}\n${table}`
  },
}

/** @param {any} server */
const whereOf = ({ address, port }) =>
  address === null ? 'Unix socket' : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

/** @param {any} table */
const rowsOf = ({ exists, rows, isEstimate }) => (exists ? `${isEstimate ? '~' : ''}${count(rows)}` : '–')

/** @param {any} table @returns {import('../view.js').Cell} */
function whatOf({ exists, isReadable, counts }) {
  if (!exists) return { text: 'missing', colour: 'yellow' }
  if (!isReadable) return { text: 'may not be read', colour: 'yellow' }
  if (counts === null) return 'too large to count'
  if (counts.open > 0) return { text: circuitsOf(counts), colour: 'red' }
  if (counts.closed !== undefined) return circuitsOf(counts)
  if (counts.held !== undefined) return `${count(counts.held)} held, ${count(counts.expired)} expired`
  if (counts.tasks !== undefined) return `of ${counted(counts.tasks, 'task')}`
  return `${count(counts.live)} live, ${count(counts.expired)} expired`
}

/** @param {any} counts */
const circuitsOf = ({ open, halfOpen, closed }) =>
  `${count(open)} open, ${count(halfOpen)} half-open, ${count(closed)} closed`
