// @ts-check
// The benchmark. `parts/` holds what can be measured, `sides/` what is compared; a run becomes one JSON and some plots.
'use strict'

const path = require('node:path')
const { HELP, UsageError, parseOptions } = require('./arguments.js')
const { comparison } = require('./compare.js')
const { commit, machine } = require('./machine.js')
const { measureCold } = require('./parts/cold.js')
const { measureEnvironments } = require('./parts/environments.js')
const { measureLibraries } = require('./parts/libraries.js')
const { measureLimits } = require('./parts/limits.js')
const { measureLoadLimits } = require('./parts/load-limits.js')
const { measureMemory } = require('./parts/memory.js')
const { measureNetwork } = require('./parts/network.js')
const { measureOpenLoop } = require('./parts/open-loop.js')
const { measureProcessLimits } = require('./parts/process-limits.js')
const { measureProcesses } = require('./parts/processes.js')
const { measureRates } = require('./parts/rates.js')
const { measureRows } = require('./parts/rows.js')
const { outputs, write } = require('./outputs.js')
const { Progress } = require('./progress.js')
const { Server } = require('./server.js')
const { table } = require('./targets.js')

/** Of the JSON: what reads it checks this. */
const FORMAT = 1

/**
 * Parts that report the versions of their sides, too.
 *
 * @type {Record<string, (server: Server, options: import('./arguments.js').Options, progress: Progress) => Promise<{ found: any, versions: Record<string, string> }>>}
 */
const WITH_VERSIONS = {
  network: measureNetwork,
  limits: measureLimits,
  loadLimits: measureLoadLimits,
  processLimits: measureProcessLimits,
  openLoop: measureOpenLoop,
  processes: measureProcesses,
  environments: measureEnvironments,
}

/**
 * @param {import('./arguments.js').Options} options
 * @param {Progress} progress
 */
async function measure(options, progress) {
  const { parts, command } = options
  progress.say('starting PostgreSQL')
  const server = await Server.start()
  try {
    const { version, ...postgres } = await server.description()
    const head = {
      format: FORMAT,
      date: new Date().toISOString(),
      command,
      commit: commit(),
      machine: machine(),
      postgres,
    }
    const versions = { node: process.versions.node, postgresql: version }
    progress.line(`PostgreSQL ${version}, Node.js ${versions.node}, ${head.machine.cores} × ${head.machine.cpu}`)
    progress.line(
      `a flush of the server's log takes ${postgres.flushMicros} µs; the machine's load is ${head.machine.load}`,
    )
    if (head.machine.dataInMemory) progress.line('WARNING: TMPDIR is in memory: commits cost nothing here')

    const run = /** @type {Record<string, any>} */ ({})
    if (parts.has('rates')) {
      const { rates, versions: ofSides } = await measureRates(server, options, progress)
      Object.assign(versions, ofSides)
      run.rates = rates
    }
    if (parts.has('libraries')) {
      const { libraries, versions: ofLibraries } = await measureLibraries(server, options, progress)
      Object.assign(versions, ofLibraries)
      run.libraries = libraries
    }
    if (parts.has('rows')) run.rows = await measureRows(server, options, progress)
    if (parts.has('memory')) run.memory = await measureMemory(server, options, progress)
    if (parts.has('cold')) run.cold = await measureCold(server, options, progress)
    for (const [part, measure] of Object.entries(WITH_VERSIONS)) {
      if (!parts.has(/** @type {any} */ (part))) continue
      const { found, versions: ofSides } = await measure(server, options, progress)
      Object.assign(versions, ofSides)
      run[part] = found
    }
    return outputs({ ...head, versions }, run, options)
  } finally {
    progress.clear()
    await server.stop()
  }
}

async function main() {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') return console.log(HELP)
  const progress = new Progress(process.stdout)
  const started = performance.now()
  const written = []
  for (const output of await measure(options, progress)) {
    const { content } = output
    written.push(...write(output))
    if (content.targets.length > 0) progress.line(`\n${table(content.targets)}`)
    if (options.compare && 'rates' in content) progress.line(`\n${comparison(options.compare, content)}`)
  }
  const names = written.map((file) => path.relative(process.cwd(), file)).join(', ')
  progress.line(`\n${Math.round((performance.now() - started) / 1000)} s; wrote ${names}`)
}

// The server and the other processes go with this one, however it ends.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143))
}

main().then(
  // A side may have left a handle behind.
  () => process.exit(),
  (error) => {
    const isUsage = error instanceof UsageError
    console.error(isUsage ? `${error.message}\n\nnpm run bench -- --help shows all options` : error)
    process.exit(isUsage ? 2 : 1)
  },
)
