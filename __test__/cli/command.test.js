// @ts-check
// @configurations first
// The command `goscope-postgres`: its help, its exit codes, and its error messages.
'use strict'

const assert = require('node:assert/strict')
const net = require('node:net')
const { after, test } = require('node:test')
const { noTerminal, runCommand, startOnTerminal } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { deadPort } = require('../support/dead-port.js')
const { missing: noPooler, startPooler } = require('../../scripts/servers/pooler.js')
const { until } = require('../support/waiting.js')
const { version } = require('../../package.json')

const database = useDatabase()

const COMMANDS = [
  'status',
  ...['locks', 'locks show', 'circuits', 'circuits show', 'circuits reset', 'checkpoints', 'checkpoints show'],
  ...['cache', 'cache list', 'cache show', 'cache delete'],
  ...['idempotency', 'idempotency claims', 'idempotency show', 'idempotency delete'],
  ...['release', 'doctor', 'ui', 'schema', 'completion'],
]
/** They have neither rows nor checks to show again and again. */
const UNWATCHED = ['circuits reset', 'cache delete', 'idempotency delete', 'release', 'ui', 'schema', 'completion']
const PASSWORD = 'geheim-7f3a'

test('--help names each command and each exit code', async () => {
  for (const args of [['--help'], ['-h'], ['help'], ['--verbose', 'help'], ['help', 'help']]) {
    const { code, stdout, stderr } = await runCommand(args)
    assert.deepEqual([code, stderr], [0, ''])
    for (const name of COMMANDS) assert.match(stdout, new RegExp(`^ {2}${name} `, 'm'))
    for (const exitCode of [0, 1, 2, 3]) assert.match(stdout, new RegExp(`^ {2}${exitCode} {2}`, 'm'))
    assert.match(stdout, /DATABASE_URL.*PGHOST/s)
  }
})

for (const name of COMMANDS) {
  test(`${name} --help lists the options of the command, and fits 120 columns`, async () => {
    const words = name.split(' ')
    const [asked, output] = await Promise.all([runCommand([...words, '--help']), runCommand(['help', ...words])])
    assert.deepEqual([asked.code, asked.stderr], [0, ''])
    assert.equal(output.stdout, asked.stdout)
    assert.match(asked.stdout, new RegExp(`^Usage: goscope-postgres ${name} `))
    const connecting = name === 'completion' ? [] : ['--url URL', '--connect-timeout']
    for (const option of [...connecting, '--help']) assert.ok(asked.stdout.includes(option), option)
    assert.equal(asked.stdout.includes('--watch'), !UNWATCHED.includes(name))
    for (const line of asked.stdout.split('\n')) assert.ok(line.length <= 120, line)
  })
}

test('--version prints the version', async () => {
  for (const args of [['--version'], ['-v'], ['locks', '--version']])
    assert.deepEqual((await runCommand(args)).stdout, `${version}\n`)
})

for (const [args, message, advice] of /** @type {[string[], RegExp, RegExp?][]} */ ([
  [[], /which command\?/],
  [['lokcs'], /there is no command 'lokcs'/, /Did you mean 'locks'\?/],
  [['check'], /there is no command 'check'/, /Did you mean 'checkpoints'\?/],
  [['frobnicate'], /there is no command 'frobnicate'/, /--help/],
  [['locks', 'some-key'], /locks has no subcommand 'some-key'/, /There are list, show\. See: .* locks --help/],
  [['cache', 'shwo', 'k'], /cache has no subcommand 'shwo'/, /Did you mean 'show'\?/],
  [['cache', 'constructor'], /cache has no subcommand 'constructor'/],
  [['status', 'all'], /status takes no argument/, /status --help/],
  [['locks', 'list', 'all'], /locks takes no argument/, /locks --help/],
  [['locks', 'show'], /locks show takes <key>/, /locks show --help/],
  [['circuits', 'reset', 'a', 'b'], /circuits reset takes <key>/],
  [['checkpoints', 'show'], /checkpoints show takes <id>/],
  [['idempotency', 'delete'], /idempotency delete takes <key>/],
  [['idempotency', 'claim'], /no subcommand 'claim'/, /Did you mean 'claims'\?/],
  [['help', 'locks', 'shwo'], /locks has no subcommand 'shwo'/, /'show'/],
  [['help', 'status', 'x'], /help takes a command/],
  [['completion'], /completion takes <shell>/],
  [['completion', 'tcsh'], /bash, zsh, fish, and not for 'tcsh'/],
  [['hlep'], /there is no command 'hlep'/, /Did you mean 'help'\?/],
  [[''], /there is no command ''\n {2}See: goscope-postgres --help\n$/],
  [['locks', '--sort', ''], /and is ''\n$/],
  [['locks', '--limit', '-1'], /--limit must be a whole number from 1 to 1000000, and is '-1'\n$/],
  [['locks', '--match', '-x'], /Option '--match' argument is ambiguous\n {2}To specify .* use '--match=-XYZ'\.\n$/],
  [['locks', '--url', ''], /--url must not be empty/, /DATABASE_URL/],
  [['locks', '--url='], /--url must not be empty/],
  [['release', 'k', '--yes', '--url', ''], /--url must not be empty/],
  [
    ['status', '--url', `postgres://u:${PASSWORD}@127.0.0.1:99999/d`],
    /Invalid URL/,
    /Is the port a number up to 65535/,
  ],
  [['lo\ncks', '\u202e'], /there is no command 'lo\\ncks'\n {2}\S.*\n$/],
  [['locks', '--frob\nx'], /Unknown option '--frob\\nx'\n$/],
  [['--json'], /which command\?/],
  [['--frob', 'locks'], /Unknown option '--frob'/],
  [['locks', '--limt', '3'], /Unknown option '--limt'/, /Did you mean '--limit'\?/],
  [['locks', 'show', 'k', '--limit', '3'], /Unknown option '--limit'/],
  [['--state', 'open', 'locks'], /Unknown option '--state'/],
  [['locks', '--sort', 'siez'], /--sort must be one of key, owner, expiry, .*'siez'/],
  [['locks', '--sort', 'expriy'], /and is 'expriy'/, /Did you mean 'expiry'\?/],
  [['locks', '--sort', '-owner-'], /and is '-owner-'/],
  [['circuits', '--sort', 'constructor'], /one of state, key, failures, last-failure, last-success/],
  [['checkpoints', '--sort', ''], /one of task, checkpoint, sequence, progress, saved, left, size, checkpoints/],
  [['cache', '--sort', 'size'], /--sort goes with --keys/, /cache list/],
  [['cache', 'list', '--sort', 'owner'], /one of key, size, expiry/],
  [['idempotency', '--sort', 'owner'], /one of key, state, size, expiry/],
  [['locks', '--sort'], /argument missing/],
  [['release'], /release takes <key>/],
  [['release', 'a', 'b'], /release takes <key>/],
  [['locks', '--frob'], /Unknown option '--frob'/],
  [['locks', '--limit', '0'], /--limit must be a whole number from 1/],
  [['locks', '--limit', '1.5'], /--limit must be a whole number/],
  [['locks', '--limit', 'many'], /and is 'many'/],
  [['locks', '--watch=soon'], /--watch must be a number/],
  [['locks', '--watch', '0'], /--watch must be a number from 0\.1/],
  [['locks', '--connect-timeout', '-1'], /connect-timeout/],
  [['circuits', '--state', 'ajar'], /--state must be closed, open or half-open, and is 'ajar'/],
  [['circuits', '--state', 'constructor'], /and is 'constructor'/],
  [['cache', '--match', 'a*'], /--match goes with --keys/],
  [['cache', '--table', 'a.b.c'], /must be an identifier or schema\.identifier/],
  [['schema', '--only', 'locks,keys'], /--only knows locks, .*, and not 'keys'/],
  [['schema', '--only', 'constructor'], /and not 'constructor'/],
  [['schema', '--table', ''], /must be an identifier/],
  [['status', '--url', `u:${PASSWORD}@h/d`], /must begin with postgres:\/\//],
])) {
  test(`wrong usage, exit code 2: ${args.join(' ')}`, async () => {
    const needs = args[0] === 'circuits' || args[0] === 'cache' ? (await database).url : undefined
    const { code, stdout, stderr } = await runCommand(args, { DATABASE_URL: needs })
    assert.equal(code, 2, stderr)
    assert.equal(stdout, '')
    assert.match(stderr, message)
    if (advice) assert.match(stderr, advice)
    assert.doesNotMatch(stderr, /\n\s+at |geheim/)
  })
}

for (const command of ['status', 'locks', 'circuits', 'checkpoints', 'cache', 'idempotency', 'doctor']) {
  test(`exit code 3 if the server cannot be reached: ${command}`, async () => {
    const url = `postgres://somebody:${PASSWORD}@127.0.0.1:${await deadPort()}/app`
    const { code, stdout, stderr } = await runCommand([command, '--url', url])
    assert.equal(code, 3)
    assert.match(command === 'doctor' ? stdout : stderr, /ECONNREFUSED 127\.0\.0\.1:\d+\n.*Nothing listens there/)
    assert.doesNotMatch(stdout + stderr, /\n\s+at |geheim/)
  })
}

test('a connection error is reported with its code and advice, and never with the password', async () => {
  const db = await database
  const to = (/** @type {(url: URL) => void} */ change) => {
    const url = new URL(db.ownUrl)
    change(url)
    return url.href
  }
  const cases = /** @type {[string, RegExp][]} */ ([
    [to((url) => (url.password = PASSWORD)), /password authentication failed.*\(28P01\)\n {2}The password is wrong/],
    [to((url) => (url.pathname = '/nowhere')), /"nowhere" does not exist \(3D000\)\n {2}There is no such database/],
    [to((url) => (url.hostname = 'no-such-host.invalid')), /(ENOTFOUND|EAI_AGAIN) no-such-host\.invalid\n {2}\S/],
    [to((url) => url.searchParams.set('sslmode', 'require')), /does not support SSL connections/],
    [`postgres:///app?host=/no/such/folder&user=u&password=${PASSWORD}`, /ENOENT \/no\/such\/folder/],
    [to((url) => url.searchParams.set('target_session_attrs', 'standby')), /standby.*\(ERR_GOSCOPE_TARGET_SESSION\)/],
  ])
  for (const [url, wanted] of cases) {
    for (const args of [['locks'], ['locks', '--verbose']]) {
      const { code, stdout, stderr } = await runCommand(args, { DATABASE_URL: url })
      assert.deepEqual([code, stdout], [3, ''], stderr)
      assert.match(stderr, wanted)
      assert.doesNotMatch(stderr, /geheim/)
      assert.equal(/\n\s+at /.test(stderr), args.length > 1)
    }
  }
})

test('a server that does not answer is waited for until --connect-timeout', async () => {
  const silent = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  const { port } = /** @type {net.AddressInfo} */ (silent.address())
  /** @type {Set<net.Socket>} */
  const sockets = new Set()
  silent.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  try {
    const { code, stderr } = await runCommand([
      'locks',
      '--connect-timeout',
      '0.3',
      '-u',
      `postgres://u@127.0.0.1:${port}/d`,
    ])
    assert.equal(code, 3)
    assert.match(stderr, /timeout.*\(ETIMEDOUT\)\n.*--connect-timeout waits longer/)
  } finally {
    for (const socket of sockets) socket.destroy()
    silent.close()
  }
})

test('on a terminal, a slow connection attempt is reported', { skip: noTerminal }, async () => {
  const silent = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  const { port } = /** @type {net.AddressInfo} */ (silent.address())
  silent.on('connection', (socket) => socket.on('error', () => {}))
  const command = startOnTerminal(['locks', '--connect-timeout', '4', '-u', `postgres://u@127.0.0.1:${port}/d`])
  await until('it says so', () => /Connecting, for \d s …/.test(command.output.stdout))
  const { code, stdout } = await command.ended
  assert.equal(code, 3)
  // The report is erased before the error is printed.
  const [last] = stdout.split('…\x1b[K').slice(-1)
  assert.ok(last.startsWith('\r\x1b[Kgoscope-postgres: '), JSON.stringify(stdout))
  assert.match(last, /ETIMEDOUT/)
  silent.close()
})

test('connects as the adapters do: --url, then DATABASE_URL, then the PG* variables', async () => {
  const db = await database
  const url = new URL(db.ownUrl)
  const apart = {
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: db.name,
    PGAPPNAME: 'somebody',
  }
  const nowhere = 'postgres://u@127.0.0.1:1/x'
  const ways = /** @type {[string[], Record<string, string>][]} */ ([
    [['--url', db.ownUrl], { DATABASE_URL: nowhere, PGHOST: '/nowhere' }],
    [['-u', db.ownUrl], { DATABASE_URL: nowhere }],
    [[], { DATABASE_URL: db.ownUrl, PGHOST: '/nowhere' }],
    [[], apart],
  ])
  for (const [args, env] of ways) {
    const { code, stdout, stderr } = await runCommand(['status', '--json', ...args], env)
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(JSON.parse(stdout).server.database, db.name)
  }
  const named = async (/** @type {Record<string, string>} */ env) => {
    const { stdout } = await runCommand(['status', '--json'], env)
    return JSON.parse(stdout).connections.ofDatabase.map((/** @type {any} */ each) => each.application)
  }
  assert.ok((await named(apart)).includes('somebody'))
  assert.ok((await named({ DATABASE_URL: db.ownUrl })).includes('goscope-postgres'))
})

test('PGOPTIONS, and options in the URL, set the schema to look in', async () => {
  const db = await database
  await db.query('CREATE SCHEMA elsewhere')
  const url = new URL(db.ownUrl)
  url.searchParams.set('options', '-c search_path=elsewhere')
  for (const env of [{ DATABASE_URL: db.ownUrl, PGOPTIONS: '-c search_path=elsewhere' }, { DATABASE_URL: url.href }]) {
    const { stdout } = await runCommand(['status', '--json'], env)
    assert.equal(JSON.parse(stdout).server.schema, 'elsewhere')
  }
})

test('a missing table: exit code 1 and advice, and status shows it', async () => {
  const db = await database
  for (const command of ['locks', 'circuits', 'checkpoints', 'cache', 'idempotency']) {
    const { code, stdout, stderr } = await runCommand([command], { DATABASE_URL: db.ownUrl })
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /relation "go_goscope_\w+" does not exist \(42P01\)\n.*goscope-postgres schema \| psql/)
  }
  const { code, stdout } = await runCommand(['status'], { DATABASE_URL: db.ownUrl })
  assert.equal(code, 0)
  assert.equal(stdout.match(/ missing$/gm)?.length, 5)
})

const skip = noPooler || false
/** Each session of the pooler shows a mark, as if the start-up packet of another client had set it. */
const pooler = skip
  ? undefined
  : database.then(async (db) => {
      await db.query(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET goscope_postgres.session = %L', current_database(), 'own-another'); END $$",
      )
      return startPooler(db.ownUrl)
    })
after(async () => (await pooler)?.stop())

test('a session that a pooler shares is reported as shared, even if it shows the mark of another client', {
  skip,
}, async () => {
  const { url } = /** @type {any} */ (await pooler)
  const { code, stdout } = await runCommand(['status', '--json'], { DATABASE_URL: url })
  assert.deepEqual([code, JSON.parse(stdout).server.isOwnSession], [0, false])
})

test('a reader that closes the pipe early is no error', async () => {
  const db = await database
  const { stdout } = await runPipe(
    `${process.execPath} bin/goscope-postgres.js status --watch=0.1 | head -n 1`,
    db.ownUrl,
  )
  assert.match(stdout, /^\d{4}-\d\d-\d\dT.*Z\n0 0\n$/)
})

/**
 * @param {string} line
 * @param {string} url
 * @returns {Promise<{ stdout: string }>}
 */
function runPipe(line, url) {
  const { execFile } = require('node:child_process')
  return new Promise((resolve, reject) =>
    execFile(
      'bash',
      ['-c', `${line}; echo "\${PIPESTATUS[@]}"`],
      { cwd: `${__dirname}/../..`, env: { ...process.env, DATABASE_URL: url }, timeout: 60_000 },
      (error, stdout) => (error ? reject(error) : resolve({ stdout })),
    ),
  )
}
