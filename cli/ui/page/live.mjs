// @ts-check
// The stream of events of the present view. It is closed while the page is hidden, so that nothing is read without a reader.

import { refusalOf } from './refusal.mjs'

/** After this the page says that it waits for the server of the page itself. */
const LATE_MS = 3_000
/** A stream that was refused is tried again after a pause, which doubles each time. */
const PAUSE_MS = { first: 1_000, longest: 15_000 }

const GONE = 'The command has ended, or cannot be reached.'

export class Live {
  #listener
  #onLost
  /** @type {EventSource | undefined} */
  #source
  #query = ''
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #late
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry
  #pause = PAUSE_MS.first

  /**
   * @param {(event: string, data: any) => void} listener
   * @param {(message: string | undefined) => void} onLost the server of the page does not answer; or it does again
   */
  constructor(listener, onLost) {
    this.#listener = listener
    this.#onLost = onLost
    document.addEventListener('visibilitychange', () => this.#reopen())
    // A page that the browser keeps for its back button must not keep its stream.
    window.addEventListener('pagehide', () => this.#close())
    window.addEventListener('pageshow', (event) => event.persisted && this.#reopen())
  }

  /**
   * @param {Record<string, string>} query
   * @param {string[]} events
   */
  look(query, events) {
    this.#query = new URLSearchParams(query).toString()
    this.events = events
    this.#reopen()
  }

  #reopen() {
    this.#close()
    if (document.hidden || this.#query === '') return
    const source = new EventSource(`/api/events?${this.#query}`)
    this.#source = source
    for (const event of this.events ?? []) {
      source.addEventListener(event, (message) => this.#listener(event, JSON.parse(message.data)))
    }
    source.addEventListener('open', () => {
      clearTimeout(this.#late)
      this.#late = undefined
      this.#pause = PAUSE_MS.first
      this.#onLost(undefined)
    })
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) this.#tryAgain(source)
      else this.#late ??= setTimeout(() => this.#onLost(GONE), LATE_MS)
    })
  }

  /** @param {EventSource} refused */
  async #tryAgain(refused) {
    clearTimeout(this.#late)
    this.#late = undefined
    const reason = await this.#reason()
    // Another view may have its own stream by now.
    if (this.#source !== refused) return
    if (reason !== undefined) this.#onLost(reason)
    this.#retry = setTimeout(() => this.#reopen(), this.#pause)
    this.#pause = Math.min(2 * this.#pause, PAUSE_MS.longest)
  }

  /** A stream that was refused does not say why, so the same is asked for once more; undefined if it is not refused now. */
  async #reason() {
    const ending = new AbortController()
    const late = setTimeout(() => ending.abort(), LATE_MS)
    try {
      const response = await fetch(`/api/events?${this.#query}`, { signal: ending.signal })
      return response.ok ? undefined : (await refusalOf(response)).message
    } catch {
      return GONE
    } finally {
      clearTimeout(late)
      // A stream that is not refused has no end.
      ending.abort()
    }
  }

  #close() {
    this.#source?.close()
    this.#source = undefined
    clearTimeout(this.#late)
    clearTimeout(this.#retry)
    this.#late = undefined
  }
}
