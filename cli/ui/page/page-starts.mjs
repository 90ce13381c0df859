// @ts-check
// After which row each page of a list begins that this tab has seen, for the button that leads back to it. The browser
// keeps it with the tab, so that a reload does not lose it.

export class PageStarts {
  #name
  /** What is asked for: another filter or order has other pages. */
  #asked = ''
  /** @type {Map<number, string>} */
  #starts = new Map()

  /** @param {string} list */
  constructor(list) {
    this.#name = `page-starts:${list}`
    const kept = sessionStorage.getItem(this.#name)
    if (kept === null) return
    const { asked, starts } = JSON.parse(kept)
    this.#asked = asked
    this.#starts = new Map(starts)
  }

  /**
   * @param {string} asked
   * @param {number} page
   * @param {string} after
   */
  remember(asked, page, after) {
    if (asked !== this.#asked) this.#starts.clear()
    this.#asked = asked
    this.#starts.set(1, '').set(page, after)
    sessionStorage.setItem(this.#name, JSON.stringify({ asked, starts: [...this.#starts] }))
  }

  /** Undefined if it is not known. @param {number} page */
  of(page) {
    return this.#starts.get(page)
  }
}
