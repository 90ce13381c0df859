// @ts-check
// The kinds of cells that tables have. Each makes its elements once, and returns how they show a row. `row.seenAt` is when
// the row came, by `performance.now()`: what is left of a time goes on from there between two reads.

import { make, setAttribute, setData, setText } from './dom.mjs'
import { visible } from './text.mjs'
import { ago, duration, percent } from './units.mjs'

/**
 * @typedef {(row: any) => void} Show
 * @typedef {(cell: HTMLElement) => Show} Cell
 */

/** @param {any} row */
const sinceSeen = (row) => performance.now() - row.seenAt

/** @param {(row: any) => string} textOf @returns {Cell} */
export const text = (textOf) => (cell) => (row) => setText(cell, textOf(row))

/** @param {(row: any) => string} textOf @returns {Cell} */
export const data = (textOf) => (cell) => {
  const shown = cell.appendChild(make('span', { class: 'data' }))
  return (row) => setData(shown, textOf(row))
}

/** Words of ours that may quote data. @param {(row: any) => string} textOf @returns {Cell} */
export const words = (textOf) => (cell) => (row) => setData(cell, textOf(row))

/** A key, after its prefix. @type {Cell} */
export const key = (cell) => {
  const prefix = cell.appendChild(make('span', { class: 'data prefix' }))
  const name = cell.appendChild(make('span', { class: 'data' }))
  return (row) => {
    setData(prefix, row.keyPrefix ?? '')
    setData(name, row.key ?? `(digest) ${row.storedKey}`)
  }
}

/** What is left of a lease or of an entry, as a text and as a bar that shrinks. @type {Cell} */
export const remaining = (cell) => {
  const shown = cell.appendChild(make('span'))
  const bar = cell.appendChild(make('span', { class: 'bar', 'aria-hidden': 'true' }))
  const left = bar.appendChild(make('span'))
  let [longest, expiresAt] = [0, '']
  return (row) => {
    const { expiresInMs } = row
    bar.hidden = expiresInMs === null
    if (expiresInMs === null) return setText(shown, 'never')
    const ms = expiresInMs - sinceSeen(row)
    // The bar is full when this lease, or its renewal, is seen first.
    if (expiresAt !== row.expiresAt) [longest, expiresAt] = [Math.max(expiresInMs, 1), row.expiresAt]
    setText(shown, ms > 0 ? duration(ms) : `expired ${duration(-ms)} ago`)
    left.style.width = `${(100 * Math.min(1, Math.max(0, ms / longest))).toFixed(1)}%`
    bar.classList.toggle('short', ms < 30_000)
  }
}

/** How long ago something was. @param {(row: any) => number | null} msOf @returns {Cell} */
export const since = (msOf) => (cell) => (row) => {
  const ms = msOf(row)
  const now = ms === null ? 0 : ms + sinceSeen(row)
  setText(cell, ms === null ? '–' : now < 0 ? ago(now) : `${ago(now)} ago`)
}

/** The state of a circuit breaker. @type {Cell} */
export const state = (cell) => {
  const shown = cell.appendChild(make('span', { class: 'badge' }))
  return (row) => {
    setData(shown, row.state)
    setAttribute(shown, 'data-state', row.state)
  }
}

/** How far a task has come. @type {Cell} */
export const progress = (cell) => {
  const shown = cell.appendChild(make('span'))
  const bar = cell.appendChild(make('span', { class: 'bar', 'aria-hidden': 'true' }))
  const done = bar.appendChild(make('span'))
  return (row) => {
    const value = Number(row.progress)
    setText(shown, percent(value))
    done.style.width = `${Math.min(100, Math.max(0, value || 0))}%`
  }
}

/**
 * A button of a row, such as the one that opens a confirmation.
 *
 * @param {string} label
 * @param {(row: any) => void} onClick
 * @returns {Cell}
 */
export const button = (label, onClick) => (cell) => {
  const element = cell.appendChild(make('button', { type: 'button' }, label))
  /** @type {any} */
  let current
  element.addEventListener('click', () => onClick(current))
  return (row) => {
    current = row
    setAttribute(element, 'aria-label', visible(`${label} ${row.key ?? row.storedKey}`))
  }
}

/**
 * A link of a row.
 *
 * @param {(row: any) => string} textOf
 * @param {(row: any) => string} hrefOf
 * @returns {Cell}
 */
export const link = (textOf, hrefOf) => (cell) => {
  const element = cell.appendChild(make('a', { class: 'data' }))
  return (row) => {
    setData(element, textOf(row))
    setAttribute(element, 'href', hrefOf(row))
  }
}
