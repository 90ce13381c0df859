// @ts-check
// The states of a circuit breaker over the last hour, as a strip of colours and as a text.

import { make, setAttribute, setText } from './dom.mjs'
import { counted, duration } from './units.mjs'

const HOUR_MS = 3_600_000
const WIDTH = 120
const SVG = 'http://www.w3.org/2000/svg'

/** @type {import('./cells.mjs').Cell} */
export const strip = (cell) => {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', `0 0 ${WIDTH} 10`)
  svg.setAttribute('preserveAspectRatio', 'none')
  svg.setAttribute('class', 'strip')
  svg.setAttribute('aria-hidden', 'true')
  const said = make('span', { class: 'quiet' })
  cell.append(svg, said)
  return (row) => {
    const states = /** @type {{ agoMs: number, state: string }[]} */ (row.history ?? [])
    const passed = performance.now() - row.seenAt
    while (svg.childNodes.length > states.length) svg.lastChild?.remove()
    states.forEach(({ agoMs, state }, at) => {
      const from = Math.min(HOUR_MS, agoMs + passed)
      const to = at + 1 < states.length ? Math.min(HOUR_MS, states[at + 1].agoMs + passed) : 0
      const part = /** @type {Element} */ (svg.childNodes[at] ?? svg.appendChild(document.createElementNS(SVG, 'rect')))
      setAttribute(part, 'x', place(from).toFixed(2))
      setAttribute(part, 'width', Math.max(0.5, place(to) - place(from)).toFixed(2))
      setAttribute(part, 'height', '10')
      setAttribute(part, 'data-state', state)
    })
    setText(said, textOf(states, passed))
  }
}

/** @param {number} agoMs */
const place = (agoMs) => WIDTH * (1 - agoMs / HOUR_MS)

/**
 * @param {{ agoMs: number, state: string }[]} states
 * @param {number} passed
 */
function textOf(states, passed) {
  const last = states.at(-1)
  if (last === undefined) return ''
  const changes = states.length - 1
  const since = `${last.state} for ${duration(last.agoMs + passed)}`
  return changes === 0 ? since : `${since}; ${counted(changes, 'change')} seen`
}
