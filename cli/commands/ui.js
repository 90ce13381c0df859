// @ts-check
'use strict'

const { PREFIX, number } = require('../options.js')
const { tell } = require('../output.js')
const { FAILED, FINE, Problem, misuse } = require('../problem.js')
const { whileSlow } = require('../progress.js')

/** @type {NodeJS.Signals[]} */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP']
const LONGEST_END_MS = 2_000

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Serves a page until Ctrl-C, and prints its address. It shows, live: locks, circuit breakers, tasks, caches, idempotent
runs and connections. It only reads, unless --allow-changes lets it release locks, reset circuit breakers and delete
entries.

It listens on 127.0.0.1 and a free port. On another --host, and with --allow-changes, the address has a token, which
lets a browser in. The connection is plain HTTP: from elsewhere, use ssh -L, or a proxy here that encrypts.

Plots of the last hour need applications that serve what metrics() returns as JSON: --metrics names their URLs.`,
  options: {
    port: { type: 'string', value: 'PORT', help: 'instead of a free one' },
    host: { type: 'string', value: 'HOST', help: 'where to listen, instead of 127.0.0.1' },
    open: { type: 'boolean', short: 'o', help: 'open the page in the browser' },
    'allow-changes': { type: 'boolean', help: 'let the page change rows, each after a confirmation' },
    token: { type: 'boolean', help: 'a token in the address, also where none is needed' },
    metrics: {
      type: 'string',
      value: 'URL',
      multiple: true,
      help: 'where an application serves its metrics as JSON; again for others',
    },
    table: {
      type: 'string',
      value: 'NAME',
      multiple: true,
      help: 'and the table of a PostgresCacheAdapter; again for others',
    },
    ...PREFIX,
  },

  async run({ given, held }) {
    const port = number(given, 'port', 0, { min: 0, max: 65_535, whole: true })
    if (given.host === '') throw misuse('--host must not be empty')
    const { table: caches = [], metrics = [], ...others } = given
    const rest = { ...others, goesOn: true }
    const { tableName } = require('../../lib/arguments.js')
    for (const name of caches) tableName(name)
    const { Applications } = require('../ui/applications.js')
    const applications = new Applications(metrics)
    const { Session } = require('../session.js')
    const session = new Session(rest)
    held.session = session
    await whileSlow('Connecting', session.reach())
    const page = {
      host: given.host ?? '127.0.0.1',
      port,
      allowsChanges: given['allow-changes'] ?? false,
      needsToken: given.token ?? false,
      caches,
      applications,
    }
    const ended = endingSignal()
    const { startServer } = require('../ui/server.js')
    const server = await startServer(session, rest, page).catch((error) => {
      throw new Problem(FAILED, `the page could not be served: ${error.message}`, ADVICE[error.code])
    })
    process.stdout.write(`${server.url}\n`)
    tell(page.allowsChanges ? 'The page may change rows. Ctrl-C ends it.\n' : 'Ctrl-C ends it.\n')
    if (given.open) await open(server.urlOnce())
    await ended
    // A change under way may still end. A read that a server does not answer must not keep the process.
    setTimeout(() => process.exit(FINE), LONGEST_END_MS).unref()
    await server.close()
    return FINE
  },
}

/** @type {Record<string, string>} */
const ADVICE = {
  EADDRINUSE: 'Another program listens there. Give another --port, or none.',
  EADDRNOTAVAIL: 'This machine has no such address: see --host.',
  ENOTFOUND: 'There is no such host: see --host.',
  EACCES: 'A port below 1024 is for administrators.',
}

/** @returns {Promise<void>} */
const endingSignal = () =>
  new Promise((resolve) => {
    for (const signal of ENDING) process.once(signal, () => resolve())
  })

/** @param {string} url */
async function open(url) {
  const { openBrowser } = require('../ui/opener.js')
  const error = await openBrowser(url)
  if (error) tell(`No browser could be opened (${error.message}): open the address above.\n`)
}
