// @ts-check
'use strict'

const net = require('node:net')

/**
 * A listener on a port of this machine that does only what `behave` does, for as long as `use` takes.
 *
 * @param {(socket: net.Socket) => void} behave
 * @param {(port: number) => Promise<unknown>} use
 */
async function withListener(behave, use) {
  /** @type {Set<net.Socket>} */
  const sockets = new Set()
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    behave(socket)
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(undefined)))
  try {
    await use(/** @type {net.AddressInfo} */ (server.address()).port)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

module.exports = { withListener }
