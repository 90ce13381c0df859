// @ts-check
// @configurations first
// Completion: what is offered, and what bash, zsh and fish make of it, as a user types.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { noTerminal, program, runCommand, startProgramOnTerminal } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { deadPort } = require('../support/dead-port.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const HOUR = 3_600_000
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-completion-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

/** A connection that the environment of the tests may have. */
const UNSET = Object.fromEntries(['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER'].map((name) => [name, undefined]))
/** @type {Record<string, string | undefined>} */
let env

before(async () => {
  const db = await database
  env = { DATABASE_URL: db.ownUrl }
  const pool = db.pool({ connectionString: db.ownUrl })
  const plain = new PostgresAdapter(pool)
  const shop = new PostgresAdapter(pool, { keyPrefix: 'shop:' })
  await plain.connect()
  for (const key of [
    'nightly report',
    'order:1',
    'a%b',
    'a_b',
    'evil\x1b[2J',
    'evil\nline',
    'evil$(touch x)',
    'evil`touch x`',
    '--yes',
    'k'.repeat(5_000),
  ])
    await plain.acquire(key, HOUR, 'me')
  await shop.acquire('order:2', HOUR, 'me')
  await plain.recordFailure('payments', 1)
  await plain.set('cached', 1)
  await plain.save({ id: 'i-2', taskId: '-odd', sequence: 1, timestamp: Date.now(), progress: 1, data: 1 })
  await plain.save({ id: 'i-1', taskId: 'import', sequence: 1, timestamp: Date.now(), progress: 1, data: 1 })
  const own = new PostgresCacheAdapter(pool, { tableName: 'own' })
  await own.initialize()
  await own.set('session', 1)
  const results = new PostgresIdempotencyAdapter(pool)
  await results.connect()
  await results.set('mail-1', 1)
})

/**
 * What is offered for the last of these words.
 *
 * @param {string[]} words
 * @param {Record<string, string | undefined>} [environment]
 */
async function offered(words, environment = env) {
  const { code, stdout, stderr } = await runCommand(['__complete', 'zsh', ...words], { ...UNSET, ...environment })
  assert.deepEqual([code, stderr], [0, ''], words.join(' '))
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0]]))
}

for (const [words, expected] of /** @type {[string[], string[]][]} */ ([
  [['lo'], ['locks']],
  [['ch'], ['checkpoints']],
  [
    ['locks', ''],
    ['list', 'show'],
  ],
  [['circuits', 're'], ['reset']],
  [
    ['idempotency', ''],
    ['list', 'claims', 'show', 'delete'],
  ],
  [['help', 'ca'], ['cache']],
  [['help', 'cache', 's'], ['show']],
  [['help', 'h'], []],
  [['help', 'release', ''], []],
  [['--verbose', 'help', 'ca'], ['cache']],
  [['--url', 'x', 'do'], ['doctor']],
  [['status', ''], []],
  [['frobnicate', ''], []],
  [['locks', '--so'], ['--sort']],
  [['locks', '--limit', '3', '--l'], []],
  [['--js'], ['--json']],
  [
    ['locks', '--sort', ''],
    ['key', '-key', 'owner', '-owner', 'expiry', '-expiry'],
  ],
  [['locks', '--sort', '-e'], ['-expiry']],
  [['locks', '--sort=-o'], ['--sort=-owner']],
  [['circuits', '-s', 'o'], ['open']],
  [['circuits', '--state=h'], ['--state=half-open']],
  [
    ['doctor', '--only', 'c'],
    ['circuits', 'cache', 'checkpoints'],
  ],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [['completion', 'bash', ''], []],
  [['locks', '--limit', ''], []],
  [['locks', '--url', ''], []],
  [['release', 'ord'], ['order:1']],
  [['release', '-p', 'shop:', ''], ['order:2']],
  [['release', '--key-prefix=shop:', 'or'], ['order:2']],
  [['release', 'order:1', ''], []],
  [['release', '--', 'night'], ['nightly report']],
  // A key that looks like an option is offered only where it is none.
  [['locks', 'show', '--y'], []],
  [['release', '--', '--'], ['--yes']],
  [['checkpoints', '--task', '-'], []],
  [['checkpoints', '--task=-'], ['--task=-odd']],
  [['locks', 'show', 'a_'], ['a_b']],
  [['locks', 'show', 'a%'], ['a%b']],
  [['locks', 'show', 'evil'], ['evil$(touch x)']],
  [['circuits', 'reset', 'p'], ['payments']],
  [['cache', 'show', 'c'], ['cached']],
  [['cache', 'delete', '--table', 'own', ''], ['session']],
  [['checkpoints', '--task', 'im'], ['import']],
  [['checkpoints', 'show', 'i-1'], ['i-1']],
  [['idempotency', 'show', 'm'], ['mail-1']],
])) {
  test(`offered for ${words.map((word) => word || "''").join(' ')}`, async () => {
    assert.deepEqual((await offered(words)).sort(), [...expected].sort())
  })
}

test('each option that a command’s help lists is offered, and no other', async () => {
  const commands = (await offered([''])).filter((name) => name !== 'help')
  assert.ok(commands.length >= 11)
  for (const name of commands) {
    const subcommands = (await offered([name, ''])).filter((word) => word !== 'list' || name === 'cache')
    const isGroup = !['release', 'completion'].includes(name)
    for (const words of [[name], ...(isGroup ? subcommands.map((word) => [name, word]) : [])]) {
      const { code, stdout } = await runCommand([...words, '--help'])
      assert.equal(code, 0)
      const listed = [...stdout.matchAll(/^ {2}(?:-\w, | {4})--([\w-]+)/gm)].map(([, option]) => `--${option}`)
      assert.deepEqual((await offered([...words, '--'])).sort(), listed.sort(), words.join(' '))
    }
  }
})

test('a server that is absent, that refuses or that is silent: nothing is offered, and nothing is said', async () => {
  const silent = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
  /** @type {Set<net.Socket>} */
  const sockets = new Set()
  silent.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  const { port } = /** @type {net.AddressInfo} */ (silent.address())
  const wrong = new URL((await database).ownUrl)
  wrong.password = 'wrong'
  try {
    for (const DATABASE_URL of [
      `postgres://u@127.0.0.1:${await deadPort()}/d`,
      `postgres://u@127.0.0.1:${port}/d`,
      wrong.href,
      'no URL',
    ]) {
      assert.deepEqual(await offered(['release', ''], { DATABASE_URL }), [], DATABASE_URL)
    }
    assert.ok(sockets.size > 0)
  } finally {
    for (const socket of sockets) socket.destroy()
    silent.close()
  }
})

test('a lock whose key is an option is not offered for an empty word', async () => {
  const locks = (await offered(['release', ''])).sort()
  assert.deepEqual([locks.includes('order:1'), locks.filter((word) => word.startsWith('-'))], [true, []])
})

test('without a configured connection no server is asked', async () => {
  assert.deepEqual(await offered(['release', ''], {}), [])
  const url = /** @type {string} */ (env.DATABASE_URL)
  assert.deepEqual(await offered(['--url', url, 'release', 'ord'], {}), ['order:1'])
})

/** In place of the command: writes the words of each line that was not asked for completion. */
function install() {
  const file = path.join(folder, 'goscope-postgres')
  const node = `"${process.execPath}"`
  fs.writeFileSync(
    file,
    `#!/bin/sh
case "$1" in __complete | completion) exec ${node} "${program}" "$@" ;; esac
exec ${node} -e 'require("fs").appendFileSync(process.env.GIVEN_WORDS, JSON.stringify(process.argv.slice(1)) + "\\n")' -- "$@"
`,
    { mode: 0o755 },
  )
}

/** What a user types, and the words that the command is given. @type {[string, string[]][]} */
const TYPED = [
  ['lo\tsh\tnig\t', ['locks', 'show', 'nightly report']],
  ['locks show order:\t', ['locks', 'show', 'order:1']],
  ['locks show ord\t', ['locks', 'show', 'order:1']],
  ["locks show 'nig\t", ['locks', 'show', 'nightly report']],
  ['locks show "nig\t', ['locks', 'show', 'nightly report']],
  ['locks show evil\t', ['locks', 'show', 'evil$(touch x)']],
  ['locks --sort=own\t', ['locks', '--sort=owner']],
  ['locks --sort -own\t', ['locks', '--sort', '-owner']],
  ['locks show -p shop: or\t', ['locks', 'show', '-p', 'shop:', 'order:2']],
  ['frob\t', ['frob']],
]

/** @type {[shell: string, args: string[], setUp: string][]} */
const SHELLS = [
  ['bash', ['--norc', '--noprofile', '-i'], 'eval "$(goscope-postgres completion bash)"'],
  ['zsh', ['-f', '-i'], 'autoload -U compinit; compinit -u -D; eval "$(goscope-postgres completion zsh)"'],
]

/** @param {string} shell */
const lacks = (shell) =>
  spawnSync(shell, ['-c', 'true']).status === 0 ? false : `${shell} is not installed (Debian: apt-get install ${shell})`

for (const [shell, args, setUp] of SHELLS) {
  test(`${shell} completes what is typed`, { skip: noTerminal || lacks(shell) }, async () => {
    install()
    const GIVEN_WORDS = path.join(folder, `${shell}.txt`)
    fs.writeFileSync(GIVEN_WORDS, '')
    const lines = () => fs.readFileSync(GIVEN_WORDS, 'utf8').split('\n').slice(0, -1)
    const PATH = `${folder}:${process.env.PATH}`
    const terminal = startProgramOnTerminal(
      [shell, ...args],
      { ...env, PATH, GIVEN_WORDS, HOME: folder },
      { columns: 200 },
    )
    terminal.type(`${setUp}; echo rea''dy\r`)
    await until('the shell is ready', () => /[\r\n]ready/.test(terminal.output.stdout))
    for (const [at, [typed, words]] of TYPED.entries()) {
      terminal.type(`goscope-postgres ${typed}\r`)
      await until(`${typed} is run`, () => lines().length > at).catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(terminal.output.stdout)}`)
      })
      assert.deepEqual(JSON.parse(lines()[at]), words, JSON.stringify(typed))
    }
    terminal.type('exit\r')
    await terminal.ended
    assert.equal(fs.existsSync(path.join(folder, 'x')), false)
  })
}

/** Keys that would end a quote, or be expanded within one. */
const HOSTILE = ['hq$(touch y)', "hq';touch y;#", 'hq";touch y;#', 'hq`touch y`', 'hq\\', 'hq!!']

/**
 * What bash inserts for the word at the cursor, if these keys are stored.
 *
 * @param {string} word with which the line ends
 */
function insertedByBash(word) {
  const program = path.join(folder, 'offers-hostile-keys')
  const keys = ['hq is fine', ...HOSTILE].map((key) => `'${key.replaceAll("'", "'\\''")}'`)
  fs.writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' ${keys.join(' ')}\n`, { mode: 0o755 })
  const script = `. "$1"; COMP_LINE="$2 $3"; COMP_POINT=\${#COMP_LINE}; COMP_WORDS=("$2" "$3"); COMP_CWORD=1
_goscope_postgres; printf '%s\\n' "\${COMPREPLY[@]}"`
  const file = path.join(__dirname, '../../cli/completion/bash.sh')
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-c', script, 'bash', file, program, word])
  assert.deepEqual([status, String(stderr)], [0, ''])
  return String(stdout).split('\n').filter(Boolean)
}

test('bash: within an open quote, no key ends the quote or is expanded', { skip: lacks('bash') }, () => {
  for (const word of ["'hq", '"hq', "--task='hq", '--task="hq', `'h'"hq`, `\\''hq`]) {
    assert.deepEqual(insertedByBash(word), ['hq is fine'], word)
  }
})

test('bash: outside quotes each special character of a key is escaped', { skip: lacks('bash') }, () => {
  for (const word of ['hq', "h\\'hq", `'h'hq`, `"h\\""hq`]) {
    const escaped = insertedByBash(word)
    assert.equal(escaped.length, HOSTILE.length + 1, word)
    for (const each of escaped) assert.match(each, /^(?:[\w#]|\\.)+$/, word)
  }
})

test('fish completes what is typed', { skip: lacks('fish') }, () => {
  install()
  const options = { env: { ...process.env, ...env, PATH: `${folder}:${process.env.PATH}`, HOME: folder } }
  const offers = (/** @type {string} */ line) => {
    const lines = `goscope-postgres completion fish | source; complete -C ${JSON.stringify(`goscope-postgres ${line}`)}`
    const { status, stdout, stderr } = spawnSync('fish', ['--no-config', '-c', lines], options)
    assert.deepEqual([status, String(stderr)], [0, ''])
    return String(stdout)
      .split('\n')
      .flatMap((each) => (each === '' ? [] : [each.split('\t')[0]]))
  }
  for (const [line, expected] of /** @type {[string, string[]][]} */ ([
    ['lo', ['locks']],
    ['locks ', ['list', 'show']],
    ['locks show nig', ['nightly report']],
    ["locks show 'nig", ['nightly report']],
    ['locks show order:', ['order:1']],
    ['locks --so', ['--sort']],
    ['locks --sort=own', ['--sort=owner']],
    ['circuits --state ', ['closed', 'half-open', 'open']],
    ['locks show -p shop: ', ['order:2']],
    ['frob ', []],
  ])) {
    assert.deepEqual(offers(line).sort(), expected, line)
  }
})
