// @ts-check
// A table of the server page by page, with its filter, its order and its problems.

import { make, setText } from './dom.mjs'
import { go, here } from './place.mjs'
import { PageStarts } from './page-starts.mjs'
import { showProblem } from './problem.mjs'
import { Table } from './table.mjs'
import { count } from './units.mjs'

/** The filter is sent after a pause in typing of so long. */
const TYPING_MS = 250
const ROWS = 50
/** So long after it has changed, a screen reader knows a text. */
const SAYING_MS = 1_000

/**
 * @typedef {object} Choice of what to see
 * @property {string} name in the address
 * @property {string} label
 * @property {[value: string, label: string][]} options the first one is there unless another is chosen; its value is ''
 *
 * @typedef {object} Kind
 * @property {string} event
 * @property {import('./table.mjs').Column[]} columns
 * @property {string} caption
 * @property {string} nothing
 * @property {string} noun of the rows, plural
 * @property {string} [filters] what the filter looks at
 * @property {Choice[]} [choices]
 */

export class Listing {
  #kind
  #table
  #problem = make('div', { class: 'notice', role: 'alert' })
  #found = make('p', { class: 'found', role: 'status' })
  #next = make('button', { type: 'button' }, 'Next')
  #previous = make('button', { type: 'button' }, 'Previous')
  #first = make('button', { type: 'button' }, 'First')
  #pages = make('nav', { class: 'pager', 'aria-label': 'Pages' })
  /** @type {any} */
  #nextAfter = null
  /** How many rows are shown; undefined while others are awaited. @type {number | undefined} */
  #shown
  /** @type {{ rows: number, isMore: boolean } | undefined} */
  #counted
  #isSaid = false
  #starts

  /** @param {Kind} kind */
  constructor(kind) {
    this.#kind = kind
    this.#starts = new PageStarts(kind.event)
    this.#table = new Table(kind.columns, kind)
    this.#problem.hidden = true
    this.#next.addEventListener('click', () => this.#turn(JSON.stringify(this.#nextAfter), 1))
    this.#previous.addEventListener('click', () => this.#turn(this.#starts.of(pageOf() - 1) ?? '', -1))
    this.#first.addEventListener('click', () => go({ after: '', page: '' }))
    this.#pages.append(this.#first, this.#previous, this.#next)
    const parts = [this.#tools(), this.#problem, this.#found, this.#table.element, this.#pages]
    this.element = make('section', {}, ...parts)
    this.#showPager()
    this.#remember()
  }

  get events() {
    return [this.#kind.event, `${this.#kind.event}-count`]
  }

  /**
   * @param {string} event
   * @param {any} data
   */
  show(event, data) {
    if (event === `${this.#kind.event}-count`) {
      if (!data.failure) this.#counted = data
      return this.#showFound()
    }
    if (event !== this.#kind.event) return
    showProblem(this.#problem, data.failure)
    if (data.failure) return
    this.#table.show(data.rows)
    this.#nextAfter = data.next
    this.#shown = data.rows.length
    this.#showPager()
    this.#showFound()
  }

  tick() {
    this.#table.tick()
  }

  #tools() {
    const { filters, choices = [] } = this.#kind
    const form = make('form', { class: 'tools', role: 'search' })
    form.addEventListener('submit', (event) => event.preventDefault())
    if (filters !== undefined) form.append(this.#filter(filters))
    form.append(...choices.map((each) => choice(each)))
    return form
  }

  /** @param {string} filters */
  #filter(filters) {
    const input = make('input', {
      type: 'search',
      id: 'filter',
      maxlength: '1000',
      autocomplete: 'off',
      spellcheck: 'false',
    })
    input.value = here().filter ?? ''
    input.placeholder = 'a part of it; * is any text'
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let typing
    input.addEventListener('input', () => {
      clearTimeout(typing)
      typing = setTimeout(() => go({ filter: input.value, after: '', page: '' }, { replaces: true }), TYPING_MS)
    })
    return make('label', { class: 'filter' }, make('span', { class: 'label' }, filters), input)
  }

  /** Something else is asked for: the next number of rows is said. */
  asked() {
    this.#isSaid = false
    this.#found.setAttribute('aria-live', 'polite')
    this.#shown = this.#counted = undefined
    this.#showPager()
    this.#remember()
  }

  /** Which rows of how many there are, once both are known. */
  #showFound() {
    if (this.#counted === undefined || this.#shown === undefined) return
    const { rows, isMore } = this.#counted
    const first = (pageOf() - 1) * ROWS + 1
    const all = `${isMore ? 'more than ' : ''}${count(rows)} ${this.#kind.noun}`
    const text = rows > ROWS && this.#shown > 0 ? `${count(first)} to ${count(first + this.#shown - 1)} of ${all}` : all
    setText(this.#found, text)
    if (this.#isSaid) return
    // A screen reader says it when something else is asked for, and not whenever a row comes or goes.
    this.#isSaid = true
    setTimeout(() => this.#isSaid && this.#found.setAttribute('aria-live', 'off'), SAYING_MS)
  }

  /**
   * @param {string} after without one, it is the first page
   * @param {number} by
   */
  #turn(after, by) {
    go({ after, page: after === '' ? '' : String(pageOf() + by) })
  }

  /** Where this page begins, for the button that leads back to it. */
  #remember() {
    const { after = '', page: _, ...asked } = here()
    this.#starts.remember(JSON.stringify(asked), pageOf(), after)
  }

  #showPager() {
    this.#next.disabled = this.#nextAfter === null
    this.#first.disabled = pageOf() === 1
    // In a bookmark, only this page is known.
    this.#previous.disabled = this.#starts.of(pageOf() - 1) === undefined
    this.#pages.hidden = this.#next.disabled && this.#first.disabled
  }
}

/** The first one, if there is no number in the address. */
function pageOf() {
  const page = Number(here().page ?? 1)
  return Number.isSafeInteger(page) && page >= 1 ? page : 1
}

/** @param {Choice} choice */
function choice({ name, label, options }) {
  const select = make('select', { name }, ...options.map(([value, text]) => make('option', { value }, text)))
  select.value = here()[name] ?? ''
  select.addEventListener('change', () => go({ [name]: select.value, after: '', page: '' }))
  return make('label', {}, make('span', { class: 'label' }, label), select)
}
