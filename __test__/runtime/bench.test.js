// @ts-check
// @configurations last
// @without first: the benchmark
// The benchmark as a user runs it. It brings its own server. The figures of such short windows mean nothing.
'use strict'

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { chanceOfDisjoint, changes } = require('../../bench/compare.js')
const { LoopDelay } = require('../../bench/loop-delay.js')
const { schedule } = require('../../bench/parts/groups.js')
const { LIBRARIES } = require('../../bench/libraries.js')
const { RedisServer, redisVersion } = require('../../bench/redis-server.js')
const { compare } = require('../../bench/targets.js')
const { percentiles } = require('../../bench/window.js')
const { FILE_LIMIT_MS, until } = require('../support/waiting.js')

const root = path.join(__dirname, '../..')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-bench-test-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

/** Every operation. */
const SHORT = ['--in-flight', '2', '--window', '20', '--rounds', '1']
const TINY = ['--only', 'get', '--in-flight', '1,16', '--window', '60', '--rounds', '2']

const withoutRedis = redisVersion() ? false : 'redis-server is not installed (Debian: apt-get install redis-server)'

/** @param {string[]} args */
function bench(...args) {
  return benchWith(process.env, ...args)
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string[]} args
 */
function benchWith(env, ...args) {
  const options = /** @type {const} */ ({ cwd: root, encoding: 'utf8', timeout: FILE_LIMIT_MS })
  return spawnSync(process.execPath, ['bench/main.js', ...args], { ...options, env })
}

test('--help lists every option', () => {
  const { status, stdout } = bench('--help')
  assert.equal(status, 0)
  const options =
    '--quick --only --sides --in-flight --window --rounds --compare --out --libraries --rows --huge --memory --calls --cold --open-loop --processes --environments --network --limits --load-limits --process-limits --most-processes'
  for (const option of options.split(' ')) assert.match(stdout, new RegExp(`^  ${option} `, 'm'))
})

for (const [args, message] of /** @type {[string[], RegExp][]} */ ([
  [['--onyl', 'get'], /--onyl/],
  [['--only', 'get,put'], /--only: there is no 'put', only get, has, loadLatest/],
  [['--sides', 'mysql'], /--sides: there is no 'mysql'/],
  [['--libraries', 'memcached'], /--libraries: there is no 'memcached', only keyv, express-session/],
  [['--sides', 'ours'], /--sides: none is named/],
  [['--window', 'long'], /--window: 'long' is no whole number/],
  [['--in-flight', '0'], /--in-flight: '0'/],
  [['--open-loop', '--only', 'has'], /--only: --open-loop measures none of has, only get, set/],
  [['--huge'], /--huge goes with --rows/],
  [['--most-processes', '2'], /--most-processes goes with --processes or --process-limits/],
  [['--compare', 'nowhere.json'], /--compare: .*nowhere\.json/],
  [['--compare', 'package.json'], /package\.json holds no comparison/],
])) {
  test(`${args.join(' ')} is refused before anything starts`, () => {
    const { status, stdout, stderr } = bench(...args)
    assert.equal(status, 2)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /^\s+at /m)
    assert.equal(stdout, '')
  })
}

test('a run writes one JSON and the plots, and the next is compared with it', () => {
  const [first, second] = [path.join(folder, 'first.json'), path.join(folder, 'second.json')]
  const one = bench(...TINY, '--sides', 'ours,reference', '--out', first)
  assert.equal(one.status, 0, one.stderr)
  assert.match(one.stdout, /get, 1 in flight: rate +target ≥ 1\.2×, measured [\d.,]+× \([\d.,]+–[\d.,]+\)/)

  const run = JSON.parse(fs.readFileSync(first, 'utf8'))
  assert.equal(run.command, `npm run bench -- ${TINY.join(' ')} --sides ours,reference`)
  assert.equal(run.versions.node, process.versions.node)
  assert.match(run.versions.postgresql, /^\d+/)
  assert.deepEqual([run.postgres.settings.fsync, run.postgres.settings.full_page_writes], ['on', 'on'])
  assert.ok(run.machine.cores > 0 && run.machine.cpu && run.machine.memoryGiB > 0)
  const { results } = run.rates
  assert.deepEqual(
    results.map((/** @type {any} */ { operation, inFlight }) => [operation, inFlight]),
    [
      ['get', 1],
      ['get', 16],
    ],
  )
  for (const { sides, ratios } of results) {
    assert.deepEqual(Object.keys(sides), ['ours', 'reference'])
    for (const metric of ['rate', 'cpu', 'p50', 'p90', 'p99', 'loopDelay']) {
      const { median, low, high } = ratios.reference[metric]
      assert.ok(low > 0 && low <= median && median <= high, metric)
      assert.ok(sides.ours[metric].median > 0 && sides.reference[metric].median > 0, metric)
    }
  }

  for (const plot of ['rate', 'latency', 'loop-delay', 'cpu']) {
    const svg = fs.readFileSync(path.join(folder, `first-${plot}.svg`), 'utf8')
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg".*<\/svg>\n$/s)
    for (const part of ['calls in flight', 'goscope-postgres', 'prefers-color-scheme']) assert.ok(svg.includes(part))
    assert.ok(svg.includes(plot === 'rate' ? 'higher is better' : 'lower is better'))
    assert.equal(svg.includes('<polygon class="band'), plot !== 'latency')
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
  }

  const two = bench(...TINY, '--sides', 'reference', '--out', second, '--compare', first)
  assert.equal(two.status, 0, two.stderr)
  assert.match(two.stdout, /^get +16 +reference +rate /m)
  assert.match(
    two.stdout,
    /8 ratios compared, \d+ changed beyond the noise.*\nWith so few rounds, about 3 would look changed/,
  )
})

test('each integration is measured next to its library’s own backend, in every operation', () => {
  const out = path.join(folder, 'libraries.json')
  const { status, stdout, stderr } = bench(...SHORT, '--libraries', 'all', '--out', out)
  assert.equal(status, 0, stderr)
  const { libraries, versions, rates } = JSON.parse(fs.readFileSync(out, 'utf8'))
  assert.equal(rates, undefined, 'nothing else is measured')
  const peers = ['@keyv/postgres', 'connect-pg-simple', 'RateLimiterPostgres', 'PostgresSaver']
  assert.deepEqual(
    libraries.map((/** @type {any} */ { library, peer }) => [library, peer]),
    LIBRARIES.map((library, at) => [library, peers[at]]),
  )
  for (const { peer, results } of libraries) {
    assert.ok(results.length >= 3)
    for (const { title, sides, ratios } of results) {
      assert.deepEqual(Object.keys(sides), ['ours', peer], title)
      assert.ok(ratios[peer].rate.median > 0, title)
    }
  }
  for (const name of ['@keyv/postgres', 'connect-pg-simple', 'rate-limiter-flexible']) assert.ok(versions[name], name)
  assert.match(stdout, /^consume of 8 hot keys +2 /m)
})

test('redis is six sides, with what each has promised, and every operation', { skip: withoutRedis }, () => {
  const out = path.join(folder, 'redis.json')
  const { status, stdout, stderr } = bench(...SHORT, '--sides', 'redis', '--out', out)
  assert.equal(status, 0, stderr)
  const { rates, versions } = JSON.parse(fs.readFileSync(out, 'utf8'))
  const names = ['memory', 'everysec', 'always'].flatMap((name) => [`redis-${name}`, `redis-${name}-pipelined`])
  assert.deepEqual(Object.keys(rates.promises), ['ours', ...names])
  assert.deepEqual([rates.leftOut, rates.without], [[], {}])
  assert.deepEqual(
    [versions['redis-server'], versions.ioredis],
    [redisVersion(), require('ioredis/package.json').version],
  )
  const settings = (/** @type {string} */ appendonly, /** @type {string} */ appendfsync) => ({
    ...{ save: '', appendonly, appendfsync, 'io-threads': '1' },
  })
  assert.deepEqual(rates.redis, {
    memory: settings('no', 'everysec'),
    everysec: settings('yes', 'everysec'),
    always: settings('yes', 'always'),
  })
  assert.equal(rates.results.length, 10)
  for (const { operation, sides, ratios } of rates.results) {
    assert.deepEqual(Object.keys(sides), ['ours', ...names], operation)
    for (const name of names) {
      for (const metric of ['rate', 'cpu', 'p99']) assert.ok(ratios[name][metric].median > 0, `${operation} ${name}`)
    }
  }
  for (const name of ['ours', ...names]) assert.match(stdout, new RegExp(`^${name} +\\S.* (?:nothing|everything)`, 'm'))
  const svg = fs.readFileSync(path.join(folder, 'redis-redis.svg'), 'utf8')
  for (const part of ['Redis in memory', 'Redis, fsync always, pipelined', `Redis ${redisVersion()}`])
    assert.ok(svg.includes(part), part)
})

test('without redis-server its sides are left out, and the others are measured', () => {
  const out = path.join(folder, 'without.json')
  const args = ['--only', 'get', '--in-flight', '1', '--window', '20', '--rounds', '1', '--sides', 'ours-async,redis']
  const { status, stdout, stderr } = benchWith({ ...process.env, PATH: folder }, ...args, '--out', out)
  assert.equal(status, 0, stderr)
  assert.equal(stdout.match(/^redis is left out: .*apt-get install redis-server/gm)?.length, 1, stdout)
  const { rates } = JSON.parse(fs.readFileSync(out, 'utf8'))
  assert.deepEqual([rates.leftOut, Object.keys(rates.promises)], [['redis'], ['ours', 'ours-async']])
  assert.deepEqual(rates.without, { 'ours-async': ['get'] })
})

test('its redis-server ends, and its folder goes, when it is stopped', { skip: withoutRedis }, async () => {
  const server = await RedisServer.start('always')
  assert.ok(isRunning(server.pid) && fs.existsSync(server.folder))
  await server.tidy()
  await server.stop()
  assert.deepEqual([isRunning(server.pid), fs.existsSync(server.folder)], [false, false])
})

test('its redis-server ends, and its folder goes, when the benchmark is killed', { skip: withoutRedis }, async () => {
  const program = `require('./bench/redis-server.js').RedisServer.start('memory')
    .then(({ pid, folder }) => console.log(JSON.stringify({ pid, folder })))`
  const child = spawn(process.execPath, ['-e', program], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  const server = JSON.parse(line)
  assert.ok(isRunning(server.pid))
  child.kill('SIGKILL')
  await until('the server and its folder are gone', () => !isRunning(server.pid) && !fs.existsSync(server.folder))
})

/** @param {number} pid */
function isRunning(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a change counts if no pair of windows of one run is within those of the other', () => {
  const run = (/** @type {number} */ low, /** @type {number} */ high) => ({
    rates: {
      scale: [],
      results: [
        { operation: 'get', inFlight: 1, ratios: { reference: { rate: { median: (low + high) / 2, low, high } } } },
      ],
    },
  })
  const verdict = (/** @type {any} */ before, /** @type {any} */ after) => changes(before, after)[0]?.verdict
  assert.equal(verdict(run(2, 3), run(2.5, 4)), '')
  assert.equal(verdict(run(2, 3), run(3.1, 4)), 'better')
  assert.equal(verdict(run(2, 3), run(1, 1.9)), 'WORSE')
  assert.deepEqual([chanceOfDisjoint(2, 2), chanceOfDisjoint(5, 5)], [1 / 3, 1 / 126])
  assert.deepEqual(
    [run(1.1, 1.2), run(1.1, 1.4)].map((each) => compare(each).map(({ holds }) => holds)),
    [[false], [true]],
  )
})

test('each window of another side is next to one of ours, and no side is always the first', () => {
  const sides = ['ours', 'a', 'b', 'c'].map((name) => ({ name }))
  const names = (/** @type {number} */ round) => schedule(sides, round).map((group) => group.map(({ name }) => name))
  assert.deepEqual(names(0), [
    ['a', 'ours', 'b'],
    ['c', 'ours'],
  ])
  assert.deepEqual(names(1), [
    ['ours', 'c'],
    ['b', 'ours', 'a'],
  ])
})

test('a blocked event loop shows in its delay, by the length of the block', async () => {
  const delay = new LoopDelay()
  await sleep(200)
  const measured = async (/** @type {number} */ blockMs) => {
    delay.start()
    for (let turn = 0; turn < 20; turn++) {
      const end = performance.now() + blockMs
      // In microtasks: the event loop does not advance between them.
      while (performance.now() < end) await undefined
      await sleep(20)
    }
    delay.stop()
    return percentiles(Float64Array.from(await delay.delays())).p90
  }
  const blocked = await measured(20)
  // The machine itself may stop a loop that nothing blocks.
  let idle = await measured(0)
  for (let again = 0; again < 20 && idle >= blocked; again++) idle = await measured(0)
  delay.close()
  // It is blocked for 20 ms half of the time, and what arrives then waits for 10 ms on average.
  assert.ok(blocked > 10, `${blocked} ms`)
  assert.ok(blocked > idle, `${blocked} ms, ${idle} ms without`)
})
