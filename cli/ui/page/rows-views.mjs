// @ts-check
// The views that are a table of the server.

import * as cell from './cells.mjs'
import { changes, propose } from './dialog.mjs'
import { make } from './dom.mjs'
import { Listing } from './listing.mjs'
import { here, hrefOf } from './place.mjs'
import { strip } from './strip.mjs'
import { count, size } from './units.mjs'

/** @typedef {import('./table.mjs').Column} Column */
/** @typedef {{ caches: string[] }} About */

const KEY = { title: 'Key', cell: cell.key, kind: 'wide' }
const OWNER = { title: 'Owner', cell: cell.data(({ owner }) => owner) }
const LEFT = { title: 'Expires in', cell: cell.remaining, ticks: true, kind: 'number' }
const SIZE = { title: 'Size', cell: cell.text(({ bytes }) => size(bytes)), kind: 'number' }
const WAITERS = { title: 'Waiters', cell: cell.text(({ hasWaiters }) => (hasWaiters ? 'yes' : 'no')) }

const ALL = {
  name: 'all',
  label: 'Show',
  options: /** @type {[string, string][]} */ ([
    ['', 'live'],
    ['1', 'expired, too'],
  ]),
}

/**
 * @param {...[value: string, label: string]} options
 * @returns {import('./listing.mjs').Choice}
 */
const order = (...options) => ({ name: 'order', label: 'Order', options })

/**
 * A column of buttons, if the page may change rows.
 *
 * @param {string} label
 * @param {string} kind of the change
 * @returns {Column[]}
 */
const change = (label, kind) =>
  changes.token === null
    ? []
    : [
        {
          title: 'Change',
          cell: cell.button(label, ({ storedKey }) => propose({ kind, storedKey, table: here().table })),
          kind: 'action',
        },
      ]

/** @type {Record<string, { title: string, listing: (about: About) => Listing, lead?: () => Node }>} */
export const ROWS_VIEWS = {
  locks: {
    title: 'Locks',
    listing: () =>
      new Listing({
        event: 'locks',
        caption: 'Who holds what, and for how long',
        nothing: 'No locks are held.',
        noun: 'locks',
        filters: 'Key or owner',
        choices: [order(['', 'by key'], ['expiry', 'by expiry']), ALL],
        columns: [KEY, OWNER, LEFT, WAITERS, ...change('Release', 'release')],
      }),
  },
  circuits: {
    title: 'Circuit breakers',
    listing: () =>
      new Listing({
        event: 'circuits',
        caption: 'The open ones first; states of the last hour, as far as a page has seen them',
        nothing: 'No circuit breakers.',
        noun: 'circuit breakers',
        filters: 'Key',
        choices: [
          {
            name: 'state',
            label: 'Show',
            options: [
              ['', 'all states'],
              ...['open', 'half-open', 'closed'].map((each) => /** @type {[string, string]} */ ([each, each])),
            ],
          },
        ],
        columns: [
          KEY,
          { title: 'State', cell: cell.state },
          { title: 'Last hour', cell: strip, ticks: true, kind: 'strip-cell' },
          { title: 'Failures', cell: cell.text(({ failureCount }) => count(failureCount)), kind: 'number' },
          {
            title: 'Last failure',
            cell: cell.since(({ lastFailureAgoMs }) => lastFailureAgoMs),
            ticks: true,
            kind: 'number',
          },
          {
            title: 'Last success',
            cell: cell.since(({ lastSuccessAgoMs }) => lastSuccessAgoMs),
            ticks: true,
            kind: 'number',
          },
          ...change('Reset', 'reset'),
        ],
      }),
  },
  tasks: {
    title: 'Tasks',
    listing: () =>
      new Listing({
        event: 'tasks',
        caption: 'How far each task has come, by its newest checkpoint',
        nothing: 'No checkpoints.',
        noun: 'tasks',
        filters: 'Task',
        columns: [
          {
            title: 'Task',
            cell: cell.link(
              ({ taskId }) => taskId,
              ({ taskId }) => hrefOf({ view: 'checkpoints', task: taskId }),
            ),
            kind: 'wide',
          },
          { title: 'Progress', cell: cell.progress, kind: 'number' },
          { title: 'Rate', cell: cell.text(rate), kind: 'number' },
          { title: 'Ends', cell: cell.text(ends) },
          { title: 'Saved', cell: cell.since(({ savedAgoMs }) => savedAgoMs), ticks: true, kind: 'number' },
          { title: 'Checkpoints', cell: cell.text(({ checkpoints }) => count(checkpoints)), kind: 'number' },
          SIZE,
        ],
      }),
  },
  checkpoints: {
    title: 'Checkpoints of a task',
    lead: () => make('p', {}, make('a', { href: hrefOf({ view: 'tasks' }) }, 'All tasks')),
    listing: () =>
      new Listing({
        event: 'checkpoints',
        caption: 'The newest first',
        nothing: 'No checkpoints of this task.',
        noun: 'checkpoints',
        columns: [
          { title: 'Checkpoint', cell: cell.data(({ id }) => id), kind: 'wide' },
          { title: 'Sequence', cell: cell.text(({ sequence }) => String(sequence)), kind: 'number' },
          { title: 'Progress', cell: cell.progress, kind: 'number' },
          { title: 'Saved', cell: cell.since(({ savedAgoMs }) => savedAgoMs), ticks: true, kind: 'number' },
          SIZE,
        ],
      }),
  },
  cache: {
    title: 'Cache',
    listing: ({ caches }) =>
      new Listing({
        event: 'cache',
        caption: 'Entries; sizes are those of the stored values, compressed where the server has compressed them',
        nothing: 'No entries.',
        noun: 'entries',
        filters: 'Key',
        choices: [
          ...(caches.length > 0 ? [{ name: 'table', label: 'Table', options: tablesOf(caches) }] : []),
          order(['', 'the largest first'], ['key', 'by key'], ['expiry', 'by expiry']),
          ALL,
        ],
        columns: [KEY, SIZE, LEFT, ...change('Delete', 'delete-cached')],
      }),
  },
  results: {
    title: 'Idempotent results',
    lead: () => make('p', {}, make('a', { href: hrefOf({ view: 'claims' }) }, 'Claims of runs under way')),
    listing: () =>
      new Listing({
        event: 'results',
        caption: 'What runs have stored, so that they are not run again',
        nothing: 'No results.',
        noun: 'results',
        filters: 'Key',
        choices: [order(['', 'by key'], ['size', 'the largest first'], ['expiry', 'by expiry']), ALL],
        columns: [KEY, SIZE, LEFT, ...change('Delete', 'delete-result')],
      }),
  },
  claims: {
    title: 'Claims of idempotent runs',
    lead: () => make('p', {}, make('a', { href: hrefOf({ view: 'results' }) }, 'Results')),
    listing: () =>
      new Listing({
        event: 'claims',
        caption: 'Runs under way: the others wait for their results',
        nothing: 'No runs are under way.',
        noun: 'claims',
        filters: 'Key or owner',
        choices: [order(['', 'by key'], ['expiry', 'by expiry']), ALL],
        columns: [KEY, OWNER, LEFT, WAITERS, ...change('Release', 'release-claim')],
      }),
  },
}

/** @param {string[]} caches @returns {[string, string][]} */
const tablesOf = (caches) => [
  ['', 'go_goscope_cache'],
  ...caches.map((name) => /** @type {[string, string]} */ ([name, name])),
]

/** @param {any} task */
function rate({ progressPerHour: rate }) {
  if (rate === null) return '–'
  return rate >= 60 ? `${(rate / 60).toFixed(1)} % / min` : `${rate.toFixed(rate < 1 ? 2 : 1)} % / h`
}

/** @param {any} task */
function ends({ endsAt, progress, estimatedBy }) {
  if (progress >= 100) return 'done'
  if (endsAt === null) return '–'
  const at = new Date(endsAt)
  const isToday = at.toDateString() === new Date().toDateString()
  const shown = isToday ? at.toLocaleTimeString() : at.toLocaleString()
  return estimatedBy === 'rate' ? `about ${shown}` : shown
}
