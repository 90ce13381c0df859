// @ts-check
// A process that does one side's work: it opens the side, and runs one window after another, on request.
'use strict'

const { LoopDelay } = require('./loop-delay.js')
const { OPERATIONS, ROWS_OPERATIONS } = require('./operations.js')
const { costOfPace, runPaced } = require('./paced.js')
const { runShared } = require('./shared-window.js')
const { runWindow } = require('./window.js')

const [file = '', side = file] = process.argv.slice(2)
const loaded = require(`./sides/${file}.js`)
// The comparison with a library has both sides in one file, and operations of its own.
const { open, versions } = loaded.sides?.[side] ?? loaded

/** @type {Record<string, import('./operations.js').Operation>} */
const operations = loaded.operations ?? { ...OPERATIONS, ...ROWS_OPERATIONS }

const delay = new LoopDelay()

/** @type {any} */
let opened

/** When each of the callers that wait for one lock was granted it. @type {Promise<number>[]} */
let waits = []

/** What the schedule of each rate costs a call, in microseconds of CPU. @type {Map<number, number>} */
const costs = new Map()

/** @type {Record<string, (input: any) => unknown>} */
const TASKS = {
  async open({ url }) {
    opened = await open(url)
    await opened.fill?.()
    return { operations: Object.keys(opened.calls), versions: versions() }
  },
  async window({ operation, ...window }) {
    return checked(operation, (call, key) => runWindow(call, key, delay, window))
  },
  async paced({ operation, ...pace }) {
    const cost = costs.get(pace.rate) ?? (await costOfPace(delay, pace))
    costs.set(pace.rate, cost)
    const figures = await checked(operation, (call, key) => runPaced(call, key, delay, pace))
    return { ...figures, cpuMicros: Math.max(0, figures.cpuMicros - cost) }
  },
  shared: ({ operation, ...span }) => checked(operation, (call, key) => runShared(call, key, opened, span)),
  counts: () => ({ statements: opened.statements(), connections: opened.connections() }),
  wait({ callers }) {
    waits = Array.from({ length: callers }, () => opened.waitForWanted())
  },
  granted: () => Promise.all(waits),
  async close() {
    delay.close()
    await opened?.close()
  },
}

/**
 * @template Found
 * @param {string} operation
 * @param {(call: (key: number) => Promise<unknown>, key: import('./paced.js').KeyOf) => Promise<Found>} measure
 */
async function checked(operation, measure) {
  const [call, { key, check }] = [opened.calls[operation], operations[operation]]
  const found = await measure(call, key)
  const last = await call(0)
  if (!check(last)) throw new Error(`${operation} answered ${JSON.stringify(last)}`)
  return found
}

process.on('message', async (/** @type {any} */ { task, input }) => {
  try {
    process.send?.({ result: (await TASKS[task](input)) ?? null })
  } catch (error) {
    process.send?.({ error: `${side}: ${error instanceof Error ? error.stack : error}` })
  }
  if (task === 'close') process.disconnect()
})

// No process is left to work for.
process.on('disconnect', () => process.exit())
