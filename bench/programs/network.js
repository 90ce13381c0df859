// @ts-check
// A TCP proxy that stands for a network: it delivers what each side sends after a delay, and sometimes loses a segment. It
// runs in a process of its own, so that its CPU and its event loop are no part of a side's.
//
// A stream cannot lose bytes: what a lost segment shows is that the stream stands still until it is sent again, and
// everything behind it with it. That is what happens here to one direction of one connection: for the time of a round trip
// if three more segments of the same write follow, whose acknowledgements reveal the loss, and otherwise for the sender's
// timer, 200 ms and a round trip. Bandwidth and congestion windows are not modelled.
'use strict'

const net = require('node:net')

const SEGMENT_BYTES = 1448
const TIMER_MS = 200
const REVEALING_SEGMENTS = 3

const [port = '', delay = '', loss = ''] = process.argv.slice(2)
const DELAY_MS = Number(delay)
const LOSS = Number(loss)

let lost = 0

/**
 * How long the loss of some of a write's segments holds it up.
 *
 * @param {number} bytes
 */
function stallOf(bytes) {
  const segments = Math.ceil(bytes / SEGMENT_BYTES)
  let stall = 0
  for (let segment = 1; segment <= segments; segment++) {
    if (Math.random() >= LOSS) continue
    lost++
    stall = Math.max(stall, 2 * DELAY_MS + (segments - segment >= REVEALING_SEGMENTS ? 0 : TIMER_MS))
  }
  return stall
}

/** One direction of a connection. */
class Direction {
  /** Data, and the end of the stream. @type {{ data?: Buffer, due: number }[]} */
  #onItsWay = []
  #free = 0
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /**
   * @param {net.Socket} from
   * @param {net.Socket} to
   */
  constructor(from, to) {
    this.to = to
    from.on('data', (data) => this.#send(data))
    from.on('end', () => this.#send())
  }

  /** @param {Buffer} [data] */
  #send(data) {
    const arrival = performance.now() + DELAY_MS + (data && LOSS > 0 ? stallOf(data.length) : 0)
    // Nothing overtakes what was sent before it.
    this.#free = Math.max(this.#free, arrival)
    this.#onItsWay.push({ data, due: this.#free })
    this.#timer ??= this.#wake()
  }

  #wake() {
    const due = this.#onItsWay[0]?.due ?? 0
    return setTimeout(() => this.#deliver(), Math.max(0, due - performance.now()))
  }

  #deliver() {
    const now = performance.now()
    while (this.#onItsWay[0] && this.#onItsWay[0].due <= now) {
      const { data } = /** @type {{ data?: Buffer }} */ (this.#onItsWay.shift())
      if (data) this.to.write(data)
      else this.to.end()
    }
    this.#timer = this.#onItsWay.length > 0 ? this.#wake() : undefined
  }
}

// Each direction ends on its own: an answer may still be on its way.
const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const upstream = net.connect({ port: Number(port), host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  void new Direction(client, upstream)
  void new Direction(upstream, client)
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
})

server.listen(0, '127.0.0.1', () => process.send?.({ port: /** @type {net.AddressInfo} */ (server.address()).port }))
process.on('message', () => process.send?.({ lost }))
// No process is left to work for.
process.on('disconnect', () => process.exit())
