// @ts-check
'use strict'

const net = require('node:net')

/** A port of loopback on which no server listens: a server just closed it. @returns {Promise<number>} */
const deadPort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address())
      server.close(() => resolve(port))
    })
  })

module.exports = { deadPort }
