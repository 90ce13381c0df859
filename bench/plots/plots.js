// @ts-check
// The plots: for each operation a panel, by calls in flight, a line or a bar for each side.
'use strict'

const { number } = require('../figures.js')
const { OPERATIONS } = require('../operations.js')
const { LOOKS, band, classOf, decades, line, logScale, mark, powersOfTen, round, style, text } = require('./svg.js')

/** The area of a panel that is drawn on, what is around it, and how many stand side by side. */
const PANEL = { width: 246, height: 190 }
const AROUND = { left: 64, right: 8, top: 40, bottom: 50 }
const COLUMNS = 3
const TOP = 96
const LEGEND_LINE = 19

/**
 * @typedef {{ inFlight: number, values: import('../figures.js').Spread[] }} Drawn
 * @typedef {{ x: (inFlight: number) => number, y: (value: number) => number }} Scales
 * @typedef {import('../parts/rates.js').Result} Result
 *
 * @typedef {object} Plot
 * @property {string} title
 * @property {string} unit of the vertical axis
 * @property {'higher' | 'lower'} better
 * @property {string[]} sides that it is about
 * @property {string[]} metrics that are shown of a side; a side without them is left out
 * @property {(side: string, points: Drawn[], scales: Scales, aside: number) => string} draw
 * @property {string[]} [notes] what the shapes mean
 */

/** In the place of a value that is never missing. */
const NONE = { median: 1, low: 1, high: 1 }

const SPREAD = ['mark: median of the windows', 'band: lowest to highest window']

/** Of Redis' sides only two, so that the lines can be told apart: the fastest, and the one with the promise of ours. */
const SIDES = [
  ...['ours', 'reference', 'postgres-js', 'keyv', 'chat-state'],
  ...['redis-memory-pipelined', 'redis-always-pipelined', 'pgbench'],
]
const BESIDE_REDIS = [
  'ours',
  ...Object.keys(LOOKS).filter((side) => side === 'ours-async' || side.startsWith('redis-')),
]

/** @type {Record<string, Plot>} */
const PLOTS = {
  rate: {
    title: 'Calls per second',
    unit: 'calls per second',
    better: 'higher',
    sides: SIDES,
    metrics: ['rate'],
    draw: drawLine,
    notes: SPREAD,
  },
  latency: {
    title: 'Latency of a call',
    unit: 'milliseconds',
    better: 'lower',
    sides: SIDES,
    metrics: ['p50', 'p90', 'p99'],
    draw: drawPercentiles,
    notes: ['mark: median', 'tick: 90th percentile', 'end: 99th percentile'],
  },
  'loop-delay': {
    title: 'Delay of the event loop, 99th percentile',
    unit: 'milliseconds',
    better: 'lower',
    sides: SIDES,
    metrics: ['loopDelay'],
    draw: drawLine,
    notes: SPREAD,
  },
  cpu: {
    title: 'CPU time of the whole Node.js process per call',
    unit: 'microseconds of CPU per call',
    better: 'lower',
    sides: SIDES,
    metrics: ['cpu'],
    draw: drawLine,
    notes: SPREAD,
  },
  redis: {
    title: 'Calls per second beside Redis',
    unit: 'calls per second',
    better: 'higher',
    sides: BESIDE_REDIS,
    metrics: ['rate'],
    draw: drawLine,
    notes: SPREAD,
  },
}

/**
 * @param {any} run
 * @returns {Record<string, string>} SVG by name
 */
function plots(run) {
  const isMeasured = (/** @type {string} */ side) =>
    run.rates.results.some((/** @type {Result} */ { sides }) => side in sides)
  const worthwhile = Object.entries(PLOTS).filter(
    ([, { sides }]) => sides === SIDES || sides.some((side) => side !== 'ours' && isMeasured(side)),
  )
  return Object.fromEntries(worthwhile.map(([name, plot]) => [name, draw(run, plot)]))
}

/**
 * @param {any} run
 * @param {Plot} plot
 */
function draw(run, plot) {
  /** @type {Result[]} */
  const results = run.rates.results
  const operations = Object.keys(OPERATIONS).filter((name) => results.some(({ operation }) => operation === name))
  const shown = plot.sides.filter((side) =>
    results.some(({ sides }) => plot.metrics.every((metric) => sides[side]?.[metric])),
  )
  const columns = Math.min(COLUMNS, operations.length + 1)
  const cell = {
    width: PANEL.width + AROUND.left + AROUND.right,
    height: PANEL.height + AROUND.top + AROUND.bottom,
  }
  const rows = Math.ceil((operations.length + 1) / columns)
  const [width, height] = [columns * cell.width + 12, TOP + rows * cell.height]
  const values = results.flatMap(({ sides }) =>
    shown.flatMap((side) => plot.metrics.flatMap((metric) => drawnOf(plot, sides[side]?.[metric]))),
  )
  const domain = decades(values.filter((value) => value > 0))
  const place = (/** @type {number} */ at) => ({
    left: (at % columns) * cell.width + AROUND.left,
    top: TOP + Math.floor(at / columns) * cell.height + AROUND.top,
  })
  const panels = operations.map((operation, at) => {
    const ofOperation = results.filter((result) => result.operation === operation)
    return panel(plot, operation, ofOperation, shown, domain, place(at))
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${plot.title}">`,
    style(),
    `<rect class="page" width="${width}" height="${height}" rx="6"/>`,
    text(16, 30, `${plot.title}, by calls in flight`, { kind: 'text title' }),
    text(16, 50, `${plot.better === 'higher' ? '↑' : '↓'} ${plot.better} is better`, { kind: 'text better' }),
    text(16, 69, origin(run), { kind: 'dim small' }),
    text(16, 86, machine(run), { kind: 'dim small' }),
    ...panels,
    legend(shown, plot, place(operations.length)),
    '</svg>\n',
  ].join('\n')
}

/**
 * The values of a spread that a plot shows.
 *
 * @param {Plot} plot
 * @param {import('../figures.js').Spread} [spread]
 */
function drawnOf({ draw }, spread) {
  if (!spread) return []
  return draw === drawLine ? [spread.low, spread.median, spread.high] : [spread.median]
}

/** @param {any} run */
function origin({ date, command, versions }) {
  const { node, postgresql, pg, 'redis-server': redis } = versions
  const others = [pg && `pg ${pg}`, redis && `Redis ${redis}`].filter(Boolean)
  return [command, date.slice(0, 10), `PostgreSQL ${postgresql}`, `Node.js ${node}`, ...others].join(' · ')
}

/** @param {any} run */
function machine({ machine, postgres }) {
  const { cpu, cores, memoryGiB, os } = machine
  return `${cores} cores (${cpu}), shared with the server · ${memoryGiB} GiB · ${os} · a commit's flush ${number(postgres.flushMicros / 1000)} ms`
}

/**
 * @param {Plot} plot
 * @param {string} operation
 * @param {Result[]} results
 * @param {string[]} shown
 * @param {[number, number]} domain
 * @param {{ left: number, top: number }} place
 */
function panel(plot, operation, results, shown, domain, { left, top }) {
  const inFlight = results.map((result) => result.inFlight)
  const [least, most] = [Math.min(...inFlight), Math.max(...inFlight)]
  const scales = {
    x: logScale(least === most ? [least / 2, most * 2] : [least, most], [left + 14, left + PANEL.width - 14]),
    y: logScale(domain, [top + PANEL.height, top]),
  }
  const bottom = top + PANEL.height
  const ticks = powersOfTen(domain).map((value) => {
    const y = scales.y(value)
    const label = text(left - 6, y + 4, shortened(value), { kind: 'dim small', anchor: 'end' })
    return `<path class="grid" d="M${left} ${y}h${PANEL.width}"/>${label}`
  })
  const places = inFlight.map((count) =>
    text(scales.x(count), bottom + 17, String(count), { kind: 'dim small', anchor: 'middle' }),
  )
  // Where several sides stand side by side, they may take most of the way to the next number of calls.
  const apart = Math.min(9, (PANEL.width - 28) / Math.max(1, results.length - 1) / (shown.length + 0.5))
  const drawn = [...shown].reverse().map((side) => {
    const points = results.flatMap(({ inFlight, sides }) => {
      const values = plot.metrics.flatMap((metric) => sides[side]?.[metric] ?? [])
      return values.length === plot.metrics.length ? [{ inFlight, values }] : []
    })
    const aside = apart * (shown.indexOf(side) - (shown.length - 1) / 2)
    return points.length > 0 ? plot.draw(side, points, scales, aside) : ''
  })
  return [
    text(left, top - 10, OPERATIONS[operation]?.title ?? operation, { kind: 'text panel' }),
    ...ticks,
    `<path class="frame" d="M${left} ${top}V${bottom}H${left + PANEL.width}"/>`,
    ...places,
    text(left + PANEL.width / 2, bottom + 35, 'calls in flight', { kind: 'dim small', anchor: 'middle' }),
    text(left - 48, top + PANEL.height / 2, plot.unit, { kind: 'dim small', anchor: 'middle', turned: true }),
    ...drawn,
  ].join('\n')
}

/** @type {Plot['draw']} */
function drawLine(side, points, { x, y }) {
  const places = points.map(({ inFlight, values: [value = NONE] }) => ({
    left: x(inFlight),
    top: y(value.median),
    low: y(value.low),
    high: y(value.high),
  }))
  return [
    band(
      side,
      places.map(({ left, low, high }) => [left, low, high]),
    ),
    line(
      side,
      places.map(({ left, top }) => [left, top]),
    ),
    ...places.map(({ left, top }) => mark(side, left, top)),
  ].join('')
}

/** @type {Plot['draw']} */
function drawPercentiles(side, points, { x, y }, aside) {
  return points
    .map(({ inFlight, values }) => {
      const [p50 = 1, p90 = 1, p99 = 1] = values.map(({ median }) => median)
      const left = round(x(inFlight) + aside)
      const tick = (/** @type {number} */ value, /** @type {number} */ half) =>
        `M${left - half} ${y(value)}h${2 * half}`
      const path = `M${left} ${y(p50)}V${y(p99)}${tick(p90, 2)}${tick(p99, 3.5)}`
      return `<path class="line ${classOf(side)}" stroke-width="1.6" d="${path}"/>${mark(side, left, y(p50))}`
    })
    .join('')
}

/**
 * @param {string[]} shown
 * @param {Plot} plot
 * @param {{ left: number, top: number }} place
 */
function legend(shown, { notes = [] }, { left, top }) {
  const lines = shown.map((side, at) => {
    const y = top + 14 + at * LEGEND_LINE
    const sample = line(side, [
      [left, y - 4],
      [left + 28, y - 4],
    ])
    return sample + mark(side, left + 14, y - 4) + text(left + 38, y, LOOKS[side]?.title ?? side)
  })
  const below = top + 22 + shown.length * LEGEND_LINE
  const pipelined = shown.some((side) => side.endsWith('-pipelined')) ? ['pipelined: ioredis with auto-pipelining'] : []
  return [
    ...lines,
    ...[...notes, ...pipelined].map((note, at) => text(left, below + 16 * at, note, { kind: 'dim small' })),
  ].join('\n')
}

/** @param {number} value */
function shortened(value) {
  if (value >= 1e6) return `${value / 1e6}M`
  return value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(1)))
}

module.exports = { plots }
