// @ts-check
// A checkpoint saver of LangGraph: this package's, and PostgresSaver.
'use strict'

const { Pool } = require('pg')
const { saverOn } = require('../../../lib/langgraph/saver.js')
const { fetched } = require('../../../scripts/fetched.js')
const { KEYS, OPERATIONS, VALUE, keyName } = require('../../operations.js')
const { requireBeside } = require('./packages.js')

const PEER = 'PostgresSaver'
const PACKAGE = '@langchain/langgraph-checkpoint-postgres'
const VERSIONS = { [PACKAGE]: '1.0.5', '@langchain/langgraph-checkpoint': '1.2.2', '@langchain/core': '1.4.0' }
const folder = fetched(`${PACKAGE}@${VERSIONS[PACKAGE]}`, { dependencies: VERSIONS })
const langgraph = requireBeside(folder, '@langchain/langgraph-checkpoint')

const PER_THREAD = 3
const LISTED = 3

const { get, set } = /** @type {Record<string, any>} */ (OPERATIONS)
const check = (/** @type {any} */ tuple) => get.check(tuple.checkpoint.channel_values.answer)
const operations = {
  getTuple: { ...get, title: 'getTuple', check },
  list: {
    ...get,
    title: `list of ${LISTED}`,
    check: (/** @type {any[]} */ tuples) => tuples.length === LISTED && tuples.every(check),
  },
  put: { ...set, title: 'put', check: (/** @type {any} */ config) => config.configurable.checkpoint_id !== undefined },
  putWrites: { ...set, title: 'put + putWrites of 2' },
}

/** @param {number} key @param {string} [id] of a checkpoint */
const configOf = (key, id) => ({
  configurable: { thread_id: keyName(key), checkpoint_ns: '', ...(id && { checkpoint_id: id }) },
})

/**
 * @param {any} saver
 * @param {() => unknown} close
 */
async function callsOn(saver, close) {
  await saver.setup()
  let version = 0
  const put = (/** @type {number} */ key) => {
    version++
    const checkpoint = {
      ...langgraph.emptyCheckpoint(),
      id: langgraph.uuid6(0),
      channel_values: { answer: VALUE, step: version },
      channel_versions: { answer: version, step: version },
    }
    return saver.put(
      configOf(key),
      checkpoint,
      { source: 'loop', step: version, parents: {} },
      checkpoint.channel_versions,
    )
  }
  return {
    calls: {
      getTuple: (/** @type {number} */ key) => saver.getTuple(configOf(key)),
      list: async (/** @type {number} */ key) => {
        const tuples = []
        for await (const tuple of saver.list(configOf(key), { limit: LISTED })) tuples.push(tuple)
        return tuples
      },
      put,
      putWrites: async (/** @type {number} */ key) => {
        const config = await put(key)
        await saver.putWrites(
          config,
          [
            ['answer', VALUE],
            ['step', version],
          ],
          'task',
        )
      },
    },
    fill: async () => {
      for (let round = 0; round < PER_THREAD; round++) {
        await Promise.all(Array.from({ length: KEYS }, (_, key) => put(key)))
      }
    },
    close,
  }
}

const sides = {
  ours: {
    open: async (/** @type {string} */ url) => {
      const pool = new Pool({ connectionString: url, max: 10 })
      const PostgresCheckpointSaver = saverOn(langgraph)
      return await callsOn(new PostgresCheckpointSaver(pool), () => pool.end())
    },
    versions: () => ({ '@langchain/langgraph-checkpoint': VERSIONS['@langchain/langgraph-checkpoint'] }),
  },
  [PEER]: {
    open: async (/** @type {string} */ url) => {
      const { PostgresSaver } = requireBeside(folder, PACKAGE)
      const pool = new Pool({ connectionString: url, max: 10 })
      return await callsOn(new PostgresSaver(pool), () => pool.end())
    },
    versions: () => ({ [PACKAGE]: VERSIONS[PACKAGE] }),
  },
}

module.exports = { peer: PEER, operations, sides }
