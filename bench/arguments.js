// @ts-check
// The command line.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { ENVIRONMENTS } = require('./environments.js')
const { LIBRARIES } = require('./libraries.js')
const { OF_PARTS, OPERATIONS } = require('./operations.js')
const { GROUPS, OTHERS, OURS } = require('./promises.js')

/** The parts besides the comparison, and the option that chooses each. */
const OPTION_OF = /** @type {const} */ ({
  libraries: 'libraries',
  rows: 'rows',
  memory: 'memory',
  cold: 'cold',
  openLoop: 'open-loop',
  processes: 'processes',
  environments: 'environments',
  network: 'network',
  limits: 'limits',
  loadLimits: 'load-limits',
  processLimits: 'process-limits',
})

/** @typedef {keyof typeof OPTION_OF} FurtherPart */

const FURTHER_PARTS = /** @type {FurtherPart[]} */ (Object.keys(OPTION_OF))

/** The numbers of calls in flight for every operation, and those between and beyond for the scale curve. */
const IN_FLIGHT = [1, 16, 256]
/** Those of other parts. */
const IN_FLIGHT_OF = {
  libraries: IN_FLIGHT,
  processes: [16],
  environments: IN_FLIGHT,
  network: [1, 8, 16, 256, 2048],
  limits: IN_FLIGHT,
}
/** The numbers of processes that share their keys. */
const PROCESSES = [1, 2, 8, 32]
const SCALE = { operations: ['get', 'set'], inFlight: [4, 64, 1024, 4096] }

const FULL = { windowMs: 750, rounds: 5, scaleRounds: 3 }
const QUICK = { windowMs: 250, rounds: 2, sides: ['reference'] }

const MOST_IN_FLIGHT = 100_000
const MEMORY_CALLS = 10_000_000

const ofNoGroup = OTHERS.filter((side) => !Object.values(GROUPS).some((group) => group.includes(side)))

const HELP = `Usage: npm run bench [-- option...]
       node bench/main.js [option...]     on the last build

Measures goscope-postgres against other ways to do the same work, on a PostgreSQL of its own with default settings.
All figures are ratios of windows that stand next to each other in one run. About half an hour in full.

  --quick             every operation, against the pg-written reference only, in about a minute
  --only <list>       these operations: ${Object.keys(OPERATIONS).join(', ')}
  --sides <list>      against these sides only: ${ofNoGroup.join(', ')}, ${Object.keys(GROUPS).join(', ')}
                      redis: redis-memory, redis-everysec, redis-always, by how the server keeps what is written, and each
                      once more with -pipelined, through ioredis with auto-pipelining. The benchmark starts these servers
                      in temporary folders and ends them. Without redis-server on the PATH they are left out.
  --in-flight <list>  these numbers of calls in flight (default ${IN_FLIGHT.join(', ')}; for get and set up to ${SCALE.inFlight.at(-1)})
  --window <ms>       how long a window is (default ${FULL.windowMs}; ${QUICK.windowMs} with --quick)
  --rounds <n>        how often each pair of windows is measured (default ${FULL.rounds}; ${QUICK.rounds} with --quick)
  --compare <file>    show what has changed since the run that wrote this JSON
  --out <file>        where the JSON goes, and the plots beside it (default bench/results/latest.json for a full run;
                      the integrations and each part below from --open-loop on have files of their own there, by
                      their names; of a narrowed run the names begin with partial)

Other claims, each measured instead of the comparison, or with it by --all:

  --libraries <list>  the integrations, each beside the library's own PostgreSQL backend:
                      ${LIBRARIES.join(', ')}, or all
  --rows              the cost of a call with 1,000 to 1,000,000 rows in each table
  --huge              with --rows: up to 10,000,000 rows (some 25 GB of disk)
  --memory            memory with 100,000 calls queued, and over 10,000,000 calls
  --calls <n>         with --memory: over this many calls
  --cold              a cold start: require, first connect, first get
  --open-loop         equal load instead of saturation: latency, event loop and CPU at fixed rates of calls
  --processes         1, 2, 8 and 32 processes on the same keys: total rate, fairness, and what waiting for a lock costs
  --environments <list>
                      ours and the reference where the server is not reached as above:
                      ${Object.keys(ENVIRONMENTS).join(', ')}, or all
  --network           ours and the reference where the server is away: 1, 5 and 40 ms each way, and lost segments
  --limits            what any client can reach: the bare statement by pgbench, beside Redis, pg behind PgBouncer, and ours
  --load-limits       what any client can reach at pg's maximum rate: latency, event loop and CPU
  --process-limits    what any client can reach in 1, 2, 8 and 32 processes on the same keys: total rate
  --most-processes <n>
                      with these two: no more processes than this
  --all               the comparison and all of these

  --help              this text`

class UsageError extends Error {}

/**
 * @typedef {object} Options
 * @property {Set<'rates' | FurtherPart>} parts
 * @property {import('./parts/rates.js').Point[]} points
 * @property {string[]} sides to compare with
 * @property {string[]} libraries
 * @property {string[]} environments
 * @property {Record<keyof typeof OF_PARTS, string[]>} operations of each part that `--only` narrows
 * @property {Record<keyof typeof IN_FLIGHT_OF, number[]>} inFlight of each part that has such numbers
 * @property {number} windowMs
 * @property {number} rounds
 * @property {number[]} processes of the parts that have many
 * @property {boolean} huge
 * @property {number} calls
 * @property {string} [out] one file for everything
 * @property {boolean} isNarrowed not all of what a part can measure
 * @property {any} [compare] an earlier run
 * @property {string} command
 */

/**
 * @param {string[]} args
 * @returns {Options | 'help'}
 */
function parseOptions(args) {
  const values = parsed(args)
  if (values.help) return 'help'
  const parts = chosenParts(values)
  const defaults = values.quick ? QUICK : { ...FULL, sides: OTHERS }
  const rounds = count('--rounds', values.rounds, 1000) ?? defaults.rounds
  if (values.huge && !parts.has('rows')) throw new UsageError('--huge goes with --rows')
  if (values.calls && !parts.has('memory')) throw new UsageError('--calls goes with --memory')
  return {
    parts,
    points: points(values, rounds),
    libraries: chosenOf('libraries', LIBRARIES, values),
    environments: chosenOf('environments', Object.keys(ENVIRONMENTS), values),
    operations: operationsOf(values, parts),
    inFlight: inFlightOfParts(values),
    sides: sidesOf(values.sides) ?? defaults.sides,
    windowMs: count('--window', values.window, 600_000) ?? defaults.windowMs,
    rounds,
    processes: processesOf(values, parts),
    huge: values.huge ?? false,
    calls: count('--calls', values.calls, 1e12) ?? MEMORY_CALLS,
    out: values.out && path.resolve(values.out),
    isNarrowed: isNarrowed(values),
    compare: values.compare === undefined ? undefined : earlierRun(values.compare),
    command: commandOf(args),
  }
}

/**
 * The command for the same figures elsewhere, without where they were written and what they were compared with.
 *
 * @param {string[]} args
 */
function commandOf(args) {
  const where = /^--(out|compare)$/
  const rest = args.filter(
    (arg, at) => !where.test(arg) && !where.test(args[at - 1] ?? '') && !/^--(out|compare)=/.test(arg),
  )
  return ['npm run bench', ...(rest.length > 0 ? ['--', ...rest] : [])].join(' ')
}

/** @param {string[]} args */
function parsed(args) {
  const [flag, text] = [{ type: /** @type {const} */ ('boolean') }, { type: /** @type {const} */ ('string') }]
  const options = {
    ...{ help: { ...flag, short: 'h' }, quick: flag, rows: flag, huge: flag, memory: flag, cold: flag, all: flag },
    'open-loop': flag,
    processes: flag,
    network: flag,
    limits: flag,
    'load-limits': flag,
    'process-limits': flag,
    ...{
      only: text,
      sides: text,
      'in-flight': text,
      window: text,
      rounds: text,
      'most-processes': text,
      calls: text,
      libraries: text,
      environments: text,
      compare: text,
      out: text,
    },
  }
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** @param {ReturnType<typeof parsed>} values */
function chosenParts(values) {
  const named = FURTHER_PARTS.filter((part) => values.all || values[OPTION_OF[part]])
  /** @type {Options['parts']} */
  const parts = new Set(named)
  if (values.all || named.length === 0) parts.add('rates')
  return parts
}

/**
 * @param {ReturnType<typeof parsed>} values
 * @param {Options['parts']} parts
 */
function operationsOf(values, parts) {
  const only = list('--only', values.only, Object.keys(OPERATIONS))
  const chosen = Object.entries(OF_PARTS).map(([part, measured]) => {
    // There may be several of one operation, `getHot` of `get`.
    const operations = measured.filter((name) => !only || only.some((each) => name.startsWith(each)))
    const key = /** @type {keyof typeof OF_PARTS} */ (part)
    if (parts.has(key) && operations.length === 0) {
      throw new UsageError(`--only: --${OPTION_OF[key]} measures none of ${values.only}, only ${measured.join(', ')}`)
    }
    return [part, operations]
  })
  return Object.fromEntries(chosen)
}

/** @param {ReturnType<typeof parsed>} values */
function inFlightOfParts(values) {
  const given = inFlightOf(values)
  return /** @type {typeof IN_FLIGHT_OF} */ (
    Object.fromEntries(Object.entries(IN_FLIGHT_OF).map(([part, numbers]) => [part, given ?? numbers]))
  )
}

/**
 * @param {ReturnType<typeof parsed>} values
 * @param {Options['parts']} parts
 */
function processesOf(values, parts) {
  const most = count('--most-processes', values['most-processes'], Math.max(...PROCESSES))
  if (most && !parts.has('processes') && !parts.has('processLimits')) {
    throw new UsageError('--most-processes goes with --processes or --process-limits')
  }
  return PROCESSES.filter((processes) => processes <= (most ?? Infinity))
}

/** @param {ReturnType<typeof parsed>} values */
function isNarrowed(values) {
  const narrowing = ['quick', 'only', 'sides', 'in-flight', 'most-processes'].some((name) => name in values)
  const lists = [values.libraries, values.environments]
  return narrowing || lists.some((value) => value !== undefined && value !== 'all')
}

/**
 * @param {ReturnType<typeof parsed>} values
 * @param {number} rounds
 */
function points(values, rounds) {
  const operations = list('--only', values.only, Object.keys(OPERATIONS)) ?? Object.keys(OPERATIONS)
  const given = inFlightOf(values)
  return operations.flatMap((operation) => {
    const scale = given || values.quick || !SCALE.operations.includes(operation) ? [] : SCALE.inFlight
    return [...new Set([...(given ?? IN_FLIGHT), ...scale])]
      .sort((a, b) => a - b)
      .map((inFlight) => ({
        operation,
        inFlight,
        rounds: scale.includes(inFlight) && !values.rounds ? FULL.scaleRounds : rounds,
      }))
  })
}

/** @param {ReturnType<typeof parsed>} values */
function inFlightOf(values) {
  return values['in-flight']?.split(',').map((each) => count('--in-flight', each, MOST_IN_FLIGHT) ?? 1)
}

/**
 * @param {'libraries' | 'environments'} option
 * @param {string[]} known
 * @param {ReturnType<typeof parsed>} values
 */
function chosenOf(option, known, values) {
  const value = values[option]
  return value === 'all' ? known : (list(`--${option}`, value, known) ?? known)
}

/** @param {string | undefined} value */
function sidesOf(value) {
  // Ours is always there, and need not be named.
  const chosen = list('--sides', value, [...OTHERS, ...Object.keys(GROUPS)], (name) => name !== OURS)
  return chosen && OTHERS.filter((name) => chosen.some((each) => each === name || GROUPS[each]?.includes(name)))
}

/**
 * @param {string} option
 * @param {string | undefined} value
 * @param {string[]} known
 * @param {(name: string) => boolean} [counts] the others are known and need not be named
 */
function list(option, value, known, counts = () => true) {
  if (value === undefined) return undefined
  const names = value.split(',').filter(counts)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new UsageError(`${option}: there is no '${unknown}', only ${known.join(', ')}`)
  if (names.length === 0) throw new UsageError(`${option}: none is named of ${known.join(', ')}`)
  return known.filter((name) => names.includes(name))
}

/**
 * @param {string} option
 * @param {string | undefined} value
 * @param {number} most
 */
function count(option, value, most) {
  if (value === undefined) return undefined
  const number = Number(value)
  if (Number.isInteger(number) && number >= 1 && number <= most) return number
  throw new UsageError(`${option}: '${value}' is no whole number from 1 to ${most}`)
}

/** @param {string} file */
function earlierRun(file) {
  try {
    const run = JSON.parse(fs.readFileSync(file, 'utf8'))
    if (Array.isArray(run?.rates?.results)) return run
  } catch (error) {
    throw new UsageError(`--compare: ${error instanceof Error ? error.message : error}`)
  }
  throw new UsageError(`--compare: ${file} holds no comparison that this benchmark has written`)
}

module.exports = { parseOptions, UsageError, HELP }
