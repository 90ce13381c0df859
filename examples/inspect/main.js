// @ts-check
// The command `goscope-postgres` on an application's locks, circuit breakers, checkpoints and cache.
//
//     npm ci && npm run build && node examples/inspect/main.js
'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { PostgresAdapter } = require('../../index.js')
const { startPostgres } = require('../../embedded.js')

/** What `npx goscope-postgres` runs in an application. */
const program = path.join(__dirname, '../../bin/goscope-postgres.js')

const MINUTE = 60_000
const HOUR = 60 * MINUTE

async function main() {
  const server = await startPostgres({ settings: { fsync: 'on', full_page_writes: 'on' } })
  try {
    await work(server.url)
    show(server.url, 'locks')
    show(server.url, 'circuits', '--match', 'pay*')
    show(server.url, 'checkpoints')
    show(server.url, 'checkpoints', '--task', 'import-42')
    show(server.url, 'cache', '--keys')

    // A worker has died, and a day and a half is too long to wait.
    show(server.url, 'release', 'nightly-report', '--yes')
    show(server.url, 'locks')
    show(server.url, 'release', 'nightly-report', '--yes')

    // For programs: JSON on stdout, and an exit code.
    const [lock] = JSON.parse(run(server.url, 'locks', '--json').stdout)
    console.log(`${lock.key} is ${lock.state} by ${lock.owner}`)
    const doctor = run(server.url, 'doctor', '--json')
    console.log('the doctor says', JSON.parse(doctor.stdout).ok, 'and exits with', doctor.status)
  } finally {
    await server.stop()
  }
}

/** What an application leaves on the server. @param {string} url */
async function work(url) {
  const adapter = new PostgresAdapter(url)
  await adapter.connect()
  await adapter.acquire('nightly-report', 36.5 * HOUR, 'worker-1')
  await adapter.acquire('billing:2026-11', 2.5 * HOUR + MINUTE / 2, 'worker-2')

  const ago = (/** @type {number} */ hours) => Date.now() - hours * HOUR - MINUTE / 2
  await adapter.setState('payments', {
    state: 'open',
    failureCount: 5,
    lastFailureTime: ago(1.5),
    lastSuccessTime: ago(3),
  })
  await adapter.setState('payouts', { state: 'closed', failureCount: 0, lastSuccessTime: ago(2) })
  await adapter.setState('mail', { state: 'half-open', failureCount: 3 })

  for (const sequence of [1, 2, 3]) {
    await adapter.save({
      id: `import-42-${sequence}`,
      taskId: 'import-42',
      sequence,
      timestamp: ago(4 - sequence),
      progress: sequence * 25,
      data: { row: sequence * 1000 },
    })
  }
  await adapter.set('user:1', { name: 'Ada' }, 30.5 * HOUR)
  await adapter.set('motd', 'an escape sequence in a key is shown, and not obeyed:')
  await adapter.set('\x1b[2Jgone', true)
  await adapter.disconnect()
}

/**
 * @param {string} url
 * @param {string[]} args
 */
const run = (url, ...args) =>
  spawnSync(process.execPath, [program, ...args], { env: { ...process.env, DATABASE_URL: url }, encoding: 'utf8' })

/**
 * @param {string} url
 * @param {string[]} args
 */
function show(url, ...args) {
  const { stdout, stderr, status } = run(url, ...args)
  console.log(`$ npx goscope-postgres ${args.join(' ')}`)
  console.log(`${stdout}${stderr}${status === 0 ? '' : `(exit code ${status})\n`}`)
}

main()
