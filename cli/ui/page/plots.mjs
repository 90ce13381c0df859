// @ts-check
// Plots of the last hour, and the same figures as a table.

import * as cell from './cells.mjs'
import { make, setData, setText } from './dom.mjs'
import { go, here } from './place.mjs'
import { Table } from './table.mjs'
import { visible } from './text.mjs'

const HOUR_S = 3_600
/** A plot that has just begun shows so much. */
const SHORTEST_S = 300
/** Between two marks of the time, in s. */
const MARKS = [60, 300, 600, 900, 1_800]
const HEIGHT = 200

/** Lines differ by more than their colour. @type {Record<string, number[]>} */
const DASHES = { '--line-2': [8, 4], '--line-3': [2, 3] }

/**
 * @typedef {object} Plot
 * @property {string} title
 * @property {string} unit
 * @property {[series: string, label: string, colour: string][]} lines by names of custom properties of the style sheet
 */

/** @type {Plot[]} */
const PLOTS = [
  { title: 'Operations', unit: 'calls / s', lines: [['calls', 'calls', '--line-1']] },
  {
    title: 'Latency',
    unit: 'ms',
    lines: [
      ['p50', 'median', '--line-1'],
      ['p95', '95 %', '--line-2'],
      ['p99', '99 %', '--line-3'],
    ],
  },
  { title: 'Errors', unit: 'errors / s', lines: [['errors', 'errors', '--line-3']] },
  {
    title: 'Connections and calls',
    unit: 'now',
    lines: [
      ['open', 'open', '--line-1'],
      ['waiting', 'waits', '--line-3'],
      ['inFlight', 'in flight', '--line-2'],
    ],
  },
  { title: 'Cache hits', unit: 'part', lines: [['hitRatio', 'hit ratio', '--line-1']] },
]

/** @returns {import('./summary.mjs').Part} */
export function plots() {
  const tools = make('form', { class: 'tools' })
  tools.addEventListener('submit', (event) => event.preventDefault())
  const application = select('application', 'Application')
  const operation = select('operation', 'Operation')
  tools.append(application.element, operation.element)
  const problems = make('div', { class: 'notice', role: 'status' })
  problems.hidden = true
  const cards = PLOTS.map((plot) => new Card(plot))
  const grid = make('div', { class: 'plots' }, ...cards.map(({ element }) => element))
  const table = operationsTable()
  const none = noApplications()
  const all = make('div', {}, tools, problems, grid, table.element)
  new ResizeObserver(() => cards.forEach((card) => void card.fit())).observe(grid)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
    cards.forEach((card) => void card.paint()),
  )
  return {
    element: make('section', {}, none, all),
    events: ['plots'],
    show(_event, { applications, operations, series }) {
      none.hidden = applications.length > 0
      all.hidden = applications.length === 0
      const names = Object.keys(operations)
      application.show([['', 'all'], ...applications.map((/** @type {any} */ { name }) => [name, name])])
      operation.show([['', 'all'], ...names.map((name) => [name, name])])
      showProblems(problems, applications)
      for (const card of cards) card.show(series)
      table.show(names.map((name) => ({ storedKey: name, name, ...operations[name] })))
    },
  }
}

const EXAMPLE = `import { createServer } from 'node:http'

createServer((_, response) => response.end(JSON.stringify(adapter.metrics()))).listen(9464, '127.0.0.1')`

function noApplications() {
  return make(
    'div',
    {},
    make('p', {}, 'No application is known. One that serves its metrics as JSON, such as'),
    make('pre', { tabindex: '0' }, make('code', {}, EXAMPLE)),
    make('p', {}, 'is plotted here after: goscope-postgres ui --metrics http://127.0.0.1:9464'),
  )
}

/**
 * @param {HTMLElement} element
 * @param {{ name: string, problem: string | null }[]} applications
 */
function showProblems(element, applications) {
  const texts = applications.flatMap(({ name, problem }) => (problem === null ? [] : [`${name}: ${problem}`]))
  element.hidden = texts.length === 0
  setData(element, texts.join('; '))
}

/**
 * @param {string} name in the address
 * @param {string} label
 */
function select(name, label) {
  const own = make('select', { name })
  own.addEventListener('change', () => go({ [name]: own.value }))
  let shown = ''
  return {
    element: make('label', {}, make('span', { class: 'label' }, label), own),
    /** @param {string[][]} options */
    show(options) {
      const chosen = here()[name] ?? ''
      const known = options.some(([value]) => value === chosen) ? options : [...options, [chosen, chosen]]
      // A list that is open would be closed.
      if (shown === JSON.stringify(known)) return
      shown = JSON.stringify(known)
      own.replaceChildren(...known.map(([value, text]) => make('option', { value }, visible(text))))
      own.value = chosen
    },
  }
}

function operationsTable() {
  const ms = (/** @type {number | null} */ value) => (value === null ? '–' : value.toFixed(value < 10 ? 2 : 0))
  const perSecond = (/** @type {number} */ value) => value.toFixed(value < 10 ? 1 : 0)
  return new Table(
    [
      { title: 'Operation', cell: cell.data(({ name }) => name) },
      { title: 'Calls / s', cell: cell.text(({ calls }) => perSecond(calls)), kind: 'number' },
      { title: 'Errors / s', cell: cell.text(({ errors }) => perSecond(errors)), kind: 'number' },
      { title: 'Median, ms', cell: cell.text(({ p50 }) => ms(p50)), kind: 'number' },
      { title: '95 %, ms', cell: cell.text(({ p95 }) => ms(p95)), kind: 'number' },
      { title: '99 %, ms', cell: cell.text(({ p99 }) => ms(p99)), kind: 'number' },
      {
        title: 'Error codes',
        cell: cell.data(({ codes }) =>
          Object.entries(codes)
            .map(([code, count]) => `${code} ${count}`)
            .join(', '),
        ),
      },
    ],
    { caption: 'The last seconds, by operation', nothing: 'No calls yet.' },
  )
}

/** One plot. */
class Card {
  #plot
  #place = make('div', { class: 'canvas' })
  /** The last value of each line, and its colour. @type {HTMLElement[]} */
  #figures
  /** @type {any} */
  #chart
  /** @type {any[]} */
  #data = []

  /** @param {Plot} plot */
  constructor(plot) {
    this.#plot = plot
    this.#place.setAttribute('aria-hidden', 'true')
    this.#figures = plot.lines.map(([, , colour]) => make('span', { class: `quiet line ${colour.slice(2)}` }))
    const title = make('figcaption', {}, make('strong', {}, plot.title), ` (${plot.unit})`)
    this.element = make('figure', { class: 'plot' }, title, this.#place, make('p', {}, ...this.#figures))
  }

  /** @param {Record<string, any[]>} series */
  show(series) {
    const { lines, title } = this.#plot
    const rows = lines.map(([name]) => series[name] ?? [])
    // Without a cache's stats there is nothing to plot.
    this.element.hidden = title === 'Cache hits' && rows.every((row) => row.every((value) => value === null))
    this.#data = [series.at, ...rows]
    for (const [at, row] of rows.entries()) setText(this.#figures[at], `${lines[at][1]} ${numberOf(row.at(-1))}`)
    if (this.#chart === undefined) this.paint()
    else this.#chart.setData(this.#data)
  }

  /** Draws anew, in the colours of the present scheme. */
  paint() {
    if (this.#data.length === 0 || this.#place.clientWidth === 0) return
    this.#chart?.destroy()
    const style = getComputedStyle(document.documentElement)
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim()
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--rule'), width: 1 }, ticks: { show: false } }
    const { uPlot } = /** @type {any} */ (globalThis)
    this.#chart = new uPlot(
      {
        width: this.#place.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: true, range: () => this.#range() },
          y: {
            range: (/** @type {any} */ _, /** @type {number} */ _min, /** @type {number} */ max) => [
              0,
              (max || 1) * 1.1,
            ],
          },
        },
        axes: [
          { ...axis, incrs: MARKS, values: timesOf },
          { ...axis, size: 55 },
        ],
        series: [
          {},
          ...this.#plot.lines.map(([, label, name]) => ({
            label,
            stroke: colour(name),
            width: 2,
            dash: DASHES[name],
            points: { show: false },
          })),
        ],
      },
      this.#data,
      this.#place,
    )
  }

  /** @returns {[from: number, until: number]} in s since 1970: the last hour, or what there is of it */
  #range() {
    const now = Date.now() / 1000
    const first = this.#data[0]?.[0] ?? now
    return [Math.max(now - HOUR_S, Math.min(first, now - SHORTEST_S)), now]
  }

  /** To the width of the page. */
  fit() {
    const width = this.#place.clientWidth
    if (this.#chart === undefined) return this.paint()
    if (width > 0 && width !== this.#chart.width) this.#chart.setSize({ width, height: HEIGHT })
  }
}

/** @param {number | null | undefined} value */
function numberOf(value) {
  if (value === null || value === undefined) return '–'
  return value.toFixed(Number.isInteger(value) || value >= 10 ? 0 : 2)
}

/**
 * @param {any} _
 * @param {number[]} times in s since 1970
 */
const timesOf = (_, times) =>
  times.map((time) => new Date(time * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }))
