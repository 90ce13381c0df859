// @ts-check
// The stream of events of the present view. It is closed while the page is hidden, so that nothing is read without a reader.

/** After this the page says that it waits for the server of the page itself. */
const LATE_MS = 3_000

export class Live {
  #listener
  #onLost
  /** @type {EventSource | undefined} */
  #source
  #query = ''
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #late

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
      this.#onLost(undefined)
    })
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) this.#why()
      else this.#late ??= setTimeout(() => this.#onLost('The command has ended, or cannot be reached.'), LATE_MS)
    })
  }

  /** A stream that was refused does not say why. */
  async #why() {
    const response = await fetch(`/api/events?${this.#query}`).catch(() => undefined)
    const text = await response?.text().catch(() => undefined)
    this.#onLost(messageOf(text) ?? 'The command has ended, or cannot be reached.')
  }

  #close() {
    this.#source?.close()
    this.#source = undefined
    clearTimeout(this.#late)
    this.#late = undefined
  }
}

/** @param {string | undefined} text */
function messageOf(text) {
  try {
    return JSON.parse(text ?? '').failure.message
  } catch {
    return text?.trim() || undefined
  }
}
