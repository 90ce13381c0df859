// @ts-check
// An address that never answers, as behind a firewall that drops packets: a listener that accepts no connection, and
// whose queue is full. The kernel then drops further connection attempts.
'use strict'

const { fork } = require('node:child_process')
const net = require('node:net')
const { after } = require('node:test')

if (process.send) {
  const [host, port] = process.argv.slice(2)
  net.createServer().listen({ host, port: Number(port), backlog: 1 }, () => {
    process.send?.('listens')
    // After the message has been sent, this process never returns to its event loop.
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50)
  })
}

/**
 * @param {string} host
 * @param {number} port
 */
async function deadAddress(host, port) {
  const child = fork(__filename, [host, String(port)])
  after(() => child.kill('SIGKILL'))
  await new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', () => reject(new Error(`nothing can listen on ${host} port ${port}`)))
  })
  await new Promise((resolve) => setTimeout(resolve, 100))
  for (let isFull = false; !isFull; ) {
    const socket = net.connect({ host, port })
    socket.on('error', () => {})
    after(() => socket.destroy())
    isFull = await new Promise((resolve) => {
      socket.once('connect', () => resolve(false))
      setTimeout(() => resolve(true), 500)
    })
  }
}

module.exports = { deadAddress }
