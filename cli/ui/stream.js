// @ts-check
// Server-sent events to one page.
'use strict'

/** A page that is gone without a word is noticed by this. */
const HEARTBEAT_MS = 15_000

class Stream {
  #response
  #beat
  /** The last event of each name, while the page does not read fast enough. @type {Map<string, any>} */
  #waiting = new Map()

  /** @param {import('node:http').ServerResponse} response whose head has not been written yet */
  constructor(response) {
    this.#response = response
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' })
    // A browser that has lost the server asks again after so many ms.
    response.write('retry: 1000\n\n')
    response.on('drain', () => this.#flush())
    this.#beat = setInterval(() => response.write(': \n\n'), HEARTBEAT_MS)
    response.once('close', () => clearInterval(this.#beat))
  }

  /**
   * @param {string} event
   * @param {any} data
   */
  send(event, data) {
    if (this.#response.writableNeedDrain) this.#waiting.set(event, data)
    // JSON has no line ends, so it is one line of the event.
    else this.#response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  #flush() {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const [event, data] of waiting) this.send(event, data)
  }
}

module.exports = { Stream }
