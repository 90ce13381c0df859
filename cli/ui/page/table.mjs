// @ts-check
// A table of rows that change: its elements stay while their rows do, so that the focus, a selection and a screen reader
// keep their place.

import { make, setText } from './dom.mjs'

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {import('./cells.mjs').Cell} cell
 * @property {boolean} [ticks] shows a time, which goes on between two reads
 * @property {string} [kind] a class of its cells
 */

export class Table {
  #columns
  #body = make('tbody', { role: 'rowgroup' })
  #empty
  #nothing
  /** By id. @type {Map<string, { element: HTMLElement, shows: import('./cells.mjs').Show[], row: any }>} */
  #rows = new Map()

  /**
   * @param {Column[]} columns
   * @param {{ caption: string, nothing: string }} texts `nothing` is said if there are no rows
   */
  constructor(columns, { caption, nothing }) {
    this.#columns = columns
    this.#nothing = nothing
    const heads = columns.map(({ title, kind }) =>
      make('th', { scope: 'col', role: 'columnheader', class: kind }, title),
    )
    // The roles are said, since a narrow page shows rows as blocks, and browsers then take the table for none.
    const table = make(
      'table',
      { role: 'table' },
      make('caption', {}, caption),
      make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...heads)),
      this.#body,
    )
    this.#empty = make('p', { class: 'nothing' })
    this.#empty.hidden = true
    this.element = make('div', { class: 'rows' }, table, this.#empty)
  }

  /** @param {any[]} rows each with a `storedKey` */
  show(rows) {
    const seenAt = performance.now()
    const ids = new Set(rows.map(({ storedKey }) => storedKey))
    for (const [id, { element }] of this.#rows) {
      if (ids.has(id)) continue
      element.remove()
      this.#rows.delete(id)
    }
    let place = this.#body.firstElementChild
    for (const row of rows) {
      const known = this.#rows.get(row.storedKey) ?? this.#add(row.storedKey)
      known.row = { ...row, seenAt }
      for (const show of known.shows) show(known.row)
      if (known.element === place) place = place.nextElementSibling
      else this.#body.insertBefore(known.element, place)
    }
    this.#empty.hidden = rows.length > 0
    setText(this.#empty, rows.length > 0 ? '' : this.#nothing)
  }

  /** Lets times go on. */
  tick() {
    for (const { row, shows } of this.#rows.values()) {
      for (const [at, { ticks }] of this.#columns.entries()) if (ticks) shows[at](row)
    }
  }

  /** @param {string} id */
  #add(id) {
    const element = make('tr', { role: 'row' })
    const shows = this.#columns.map(({ title, cell, kind }) => {
      const own = element.appendChild(make('td', { role: 'cell', class: kind, 'data-title': title }))
      // Where rows are blocks, a cell is a line: its title on the left, and this on the right.
      return cell(own.appendChild(make('div', { class: 'value' })))
    })
    const known = { element, shows, row: undefined }
    this.#rows.set(id, known)
    return known
  }
}
