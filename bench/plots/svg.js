// @ts-check
// What the plots are drawn with: shapes as text, and colours for light and dark pages.
'use strict'

/**
 * How a side is drawn. Readers who see fewer colours can distinguish these, and the marks need no colour.
 *
 * @typedef {{ title: string, light: string, dark: string, mark: keyof typeof MARKS, dash?: string }} Look
 */

/** @type {Record<string, Look>} */
const LOOKS = {
  ours: { title: 'goscope-postgres', light: '#0b5cad', dark: '#6cb6ff', mark: 'circle' },
  reference: { title: 'the same adapter on pg', light: '#c2410c', dark: '#ff9d5c', mark: 'square' },
  'postgres-js': { title: 'postgres.js, single statements', light: '#00795a', dark: '#3fd0a4', mark: 'triangle' },
  keyv: { title: '@keyv/postgres', light: '#a1318f', dark: '#f08be0', mark: 'diamond' },
  'chat-state': { title: '@chat-adapter/state-pg', light: '#8a6a00', dark: '#e3c341', mark: 'cross' },
  'ours-async': { title: 'goscope-postgres, async', light: '#0b5cad', dark: '#6cb6ff', mark: 'diamond', dash: '5 4' },
  'redis-memory': { title: 'Redis in memory', light: '#b3123a', dark: '#ff7b93', mark: 'ring', dash: '5 4' },
  'redis-memory-pipelined': { title: 'Redis in memory, pipelined', light: '#b3123a', dark: '#ff7b93', mark: 'ring' },
  'redis-everysec': {
    title: 'Redis, fsync everysec',
    light: '#00795a',
    dark: '#3fd0a4',
    mark: 'triangle',
    dash: '5 4',
  },
  'redis-everysec-pipelined': {
    title: 'Redis, fsync everysec, pipelined',
    light: '#00795a',
    dark: '#3fd0a4',
    mark: 'triangle',
  },
  'redis-always': { title: 'Redis, fsync always', light: '#5b3fc4', dark: '#b49bff', mark: 'down', dash: '5 4' },
  'redis-always-pipelined': {
    title: 'Redis, fsync always, pipelined',
    light: '#5b3fc4',
    dark: '#b49bff',
    mark: 'down',
  },
  pgbench: { title: 'pgbench, prepared', light: '#59636e', dark: '#aab4bf', mark: 'dash', dash: '5 4' },
}

const MARKS = {
  circle: (/** @type {number} */ x, /** @type {number} */ y) =>
    `M${x - 3.5} ${y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z`,
  square: (/** @type {number} */ x, /** @type {number} */ y) => `M${x - 3} ${y - 3}h6v6h-6z`,
  triangle: (/** @type {number} */ x, /** @type {number} */ y) => `M${x} ${y - 4}l4 7h-8z`,
  down: (/** @type {number} */ x, /** @type {number} */ y) => `M${x} ${y + 4}l4 -7h-8z`,
  diamond: (/** @type {number} */ x, /** @type {number} */ y) => `M${x} ${y - 4}l4 4l-4 4l-4 -4z`,
  cross: (/** @type {number} */ x, /** @type {number} */ y) =>
    `M${x - 4} ${y - 1.2}h2.8v-2.8h2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8z`,
  ring: (/** @type {number} */ x, /** @type {number} */ y) =>
    `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0zM${x - 1.8} ${y}a1.8 1.8 0 1 1 3.6 0a1.8 1.8 0 1 1 -3.6 0z`,
  dash: (/** @type {number} */ x, /** @type {number} */ y) => `M${x - 4} ${y - 1.3}h8v2.6h-8z`,
}

const classOf = (/** @type {string} */ side) => `side-${side}`

function style() {
  const colours = (/** @type {'light' | 'dark'} */ scheme) =>
    Object.entries(LOOKS)
      .map(([side, look]) => `.${classOf(side)}{--c:${look[scheme]}}`)
      .join('')
  return `<style>
svg{color-scheme:light dark;font:13.5px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
.page{fill:#fff}.text{fill:#1f2328}.dim{fill:#59636e}.grid{stroke:#d8dee4}.frame{stroke:#8c959f}
${colours('light')}
.fill{fill:var(--c)}.band{fill:var(--c);fill-opacity:.16}.line{stroke:var(--c);fill:none}
.grid,.frame{fill:none;shape-rendering:crispEdges}
.title{font-size:19px;font-weight:600}.panel{font-size:15px;font-weight:600}.small{font-size:12.5px}.better{font-size:14px;font-weight:600}
@media(prefers-color-scheme:dark){
.page{fill:#0d1117}.text{fill:#e6edf3}.dim{fill:#9198a1}.grid{stroke:#2a313a}.frame{stroke:#656c76}
${colours('dark')}
}
</style>`
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {{ kind?: string, anchor?: 'start' | 'middle' | 'end', turned?: boolean }} [options]
 */
function text(x, y, content, { kind = 'text', anchor = 'start', turned = false } = {}) {
  const turn = turned ? ` transform="rotate(-90 ${x} ${y})"` : ''
  return `<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}"${turn}>${escaped(content)}</text>`
}

/** @param {string} content */
const escaped = (content) => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/**
 * @param {string} side
 * @param {number} x
 * @param {number} y
 */
function mark(side, x, y) {
  const look = LOOKS[side] ?? /** @type {Look} */ (LOOKS.pgbench)
  return `<path class="fill ${classOf(side)}" d="${MARKS[look.mark](round(x), round(y))}"/>`
}

/**
 * @param {string} side
 * @param {[x: number, y: number][]} points
 * @param {number} [width]
 */
function line(side, points, width = side === 'ours' ? 2.4 : 1.6) {
  const dash = LOOKS[side]?.dash ? ` stroke-dasharray="${LOOKS[side].dash}"` : ''
  const path = points.map(([x, y]) => `${round(x)},${round(y)}`).join(' ')
  return `<polyline class="line ${classOf(side)}" stroke-width="${width}"${dash} points="${path}"/>`
}

/**
 * The area between the least and the most.
 *
 * @param {string} side
 * @param {[x: number, low: number, high: number][]} points
 */
function band(side, points) {
  const there = points.map(([x, low]) => `${round(x)},${round(low)}`)
  const back = points.map(([x, , high]) => `${round(x)},${round(high)}`).reverse()
  return `<polygon class="band ${classOf(side)}" points="${[...there, ...back].join(' ')}"/>`
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10

/**
 * A logarithmic scale.
 *
 * @param {[number, number]} domain
 * @param {[number, number]} range
 * @returns {(value: number) => number}
 */
function logScale([least, most], [from, to]) {
  const [low, high] = [Math.log(least), Math.log(most)]
  return (value) => round(from + ((Math.log(value) - low) / (high - low || 1)) * (to - from))
}

/**
 * The powers of ten around the values; half ones where they would leave much of the space empty.
 *
 * @param {number[]} values
 * @returns {[number, number]}
 */
function decades(values) {
  const [least, most] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))]
  const step = (/** @type {number} */ power, /** @type {'floor' | 'ceil'} */ how) => {
    const whole = Math[how](power)
    const half = how === 'ceil' ? whole - 1 + Math.log10(3) : whole + Math.log10(3)
    return 10 ** (how === 'ceil' ? (power <= half ? half : whole) : power >= half ? half : whole)
  }
  return [step(least - 0.02, 'floor'), step(most + 0.02, 'ceil')]
}

/** @param {[number, number]} domain */
function powersOfTen([least, most]) {
  const first = Math.ceil(Math.log10(least) - 1e-9)
  const last = Math.floor(Math.log10(most) + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, at) => 10 ** (first + at))
}

module.exports = { LOOKS, band, style, text, mark, line, round, logScale, decades, powersOfTen, classOf }
