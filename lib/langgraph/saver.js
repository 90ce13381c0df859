// @ts-check
// A checkpoint saver of LangGraph. A checkpoint is a row of go_goscope_checkpoints with all of its values, so that it is one
// statement to write and to read. Its pending writes are in a log of their own: see writes-log.js.
'use strict'

const { PostgresAdapter, PostgresCacheAdapter } = require('../../index.js')
const { poolOf } = require('../connecting/pool-of.js')
const { optionsOf } = require('../options.js')
const { deleteThread } = require('./deletion.js')
const { historyOf } = require('./history.js')
const { contains } = require('./metadata-filter.js')
const { pack, unpack } = require('./packed.js')
const { THREAD, keyOf, sequenceOf, taskOf, threadOf, timeOf } = require('./place.js')
const { WritesLog } = require('./writes-log.js')

const KEY_PREFIX = 'langgraph:'
const WRITES_TABLE = 'go_goscope_langgraph_writes'

/** From this version of checkpoints on, tasks that are to be sent are one of their values, and no pending writes. */
const SENDS_ARE_VALUES = 4

/**
 * @typedef {import('./history.js').Row} Row
 * @typedef {import('./place.js').Place} Place
 * @typedef {{ configurable?: Record<string, any> }} Config
 */

/**
 * The class of savers.
 *
 * @param {any} langgraph the module `@langchain/langgraph-checkpoint`, as the application has it: its serializer knows values
 * by their classes, and the module has others if it is required than if it is imported
 */
function saverOn(langgraph) {
  const { BaseCheckpointSaver, TASKS, WRITES_IDX_MAP, maxChannelVersion } = langgraph

  /** See langgraph.d.ts for what each method promises. */
  class PostgresCheckpointSaver extends BaseCheckpointSaver {
    #checkpoints
    #entries
    #writes

    /**
     * @param {unknown} [pool]
     * @param {unknown} [options]
     */
    constructor(pool, options) {
      const given = optionsOf(options, 'PostgresCheckpointSaver')
      super(given.serde)
      const { createTables } = given
      const [keyPrefix, writesTable] = [given.keyPrefix ?? KEY_PREFIX, given.writesTable ?? WRITES_TABLE]
      // One pool for both.
      const source = poolOf(pool)
      this.#checkpoints = new PostgresAdapter(source, { keyPrefix, createTables })
      this.#entries = new PostgresCacheAdapter(source, { keyPrefix, createTables, tableName: writesTable })
      this.#writes = new WritesLog(this.#entries)
    }

    async setup() {
      await Promise.all([this.#checkpoints.connect(), this.#entries.initialize()])
    }

    async close() {
      await Promise.all([this.#checkpoints.close(), this.#entries.close()])
    }

    /** @param {Config} config */
    async getTuple(config) {
      const { thread, namespace = '', id } = asked(config)
      if (thread === undefined) return undefined
      if (id !== undefined) {
        const place = { thread, namespace, id }
        const [row, [writes = []]] = await Promise.all([this.#load(place), this.#writes.read([place])])
        return row && (await this.#tuple(row, writes))
      }
      for await (const [row] of historyOf(this.#checkpoints, taskOf(thread), { namespace, limit: 1 })) {
        if (row) return (await this.#tuples([row]))[0]
      }
      return undefined
    }

    /**
     * @param {Config} config
     * @param {{ limit?: number, before?: Config, filter?: Record<string, any> }} [options]
     */
    async *list(config, { limit = Infinity, before, filter = {} } = {}) {
      let left = limit
      if (left <= 0) return
      for await (const page of this.#pages(asked(config), asked(before ?? {}).id, left)) {
        const rows = await this.#filtered(page, filter)
        yield* await this.#tuples(rows.slice(0, left))
        left -= rows.length
        if (left <= 0) return
      }
    }

    /**
     * @param {Config} config
     * @param {any} checkpoint
     * @param {any} metadata
     * @param {Record<string, number | string>} [newVersions]
     */
    async put(config, checkpoint, metadata, newVersions) {
      const { thread, namespace = '', id: parent } = asked(config)
      if (thread === undefined) throw missing('put checkpoint', 'thread_id')
      const place = { thread, namespace, id: checkpoint.id }
      const values = await this.#valuesOf(checkpoint, place, parent, newVersions)
      const [packed, about] = await Promise.all([
        pack(this.serde, { ...checkpoint, channel_values: values }),
        pack(this.serde, metadata),
      ])
      await this.#checkpoints.save({
        id: keyOf(place),
        taskId: taskOf(thread),
        sequence: sequenceOf(place),
        timestamp: timeOf(place.id),
        progress: Number.isFinite(metadata?.step) ? metadata.step : 0,
        data: { namespace, id: place.id, ...(parent !== undefined && { parent }), checkpoint: packed, metadata: about },
      })
      return configOf(place, config.configurable?.thread_id)
    }

    /**
     * @param {Config} config
     * @param {[channel: string, value: unknown][]} writes
     * @param {string} taskId
     * @param {string} [taskPath]
     */
    async putWrites(config, writes, taskId, taskPath = '') {
      const { thread, namespace = '', id } = asked(config)
      if (thread === undefined) throw missing('put writes', 'thread_id')
      if (id === undefined) throw missing('put writes', 'checkpoint_id')
      if (writes.length === 0) return
      const packed = await Promise.all(
        writes.map(async ([channel, value], at) => ({
          task: taskId,
          index: WRITES_IDX_MAP[channel] ?? at,
          path: taskPath,
          channel,
          value: await pack(this.serde, value),
        })),
      )
      await this.#writes.append({ thread, namespace, id }, packed)
    }

    /** @param {string} threadId */
    async deleteThread(threadId) {
      await deleteThread(this.#checkpoints, this.#writes, String(threadId))
    }

    /**
     * @param {Place} place
     * @returns {Promise<Row | undefined>}
     */
    async #load(place) {
      const row = await this.#checkpoints.load(keyOf(place))
      return row?.taskId === taskOf(place.thread) ? /** @type {Row} */ (row) : undefined
    }

    /**
     * @param {ReturnType<typeof asked>} which
     * @param {string | undefined} before
     * @param {number} limit
     */
    async *#pages({ thread, namespace, id }, before, limit) {
      if (thread !== undefined && namespace !== undefined && id !== undefined) {
        const row = await this.#load({ thread, namespace, id })
        if (row && (before === undefined || id < before)) yield [row]
        return
      }
      const tasks = thread === undefined ? this.#checkpoints.iterateTasks({ prefix: THREAD }) : [taskOf(thread)]
      for await (const task of tasks) {
        for await (const page of historyOf(this.#checkpoints, task, { namespace, before, limit })) {
          yield id === undefined ? page : page.filter((row) => row.data.id === id)
        }
      }
    }

    /**
     * @param {Row[]} rows
     * @param {Record<string, any>} filter what their metadata must contain
     */
    async #filtered(rows, filter) {
      if (Object.keys(filter).length === 0) return rows
      const matches = await Promise.all(
        rows.map(async ({ data }) => contains(await unpack(this.serde, data.metadata), filter)),
      )
      return rows.filter((_, at) => matches[at])
    }

    /** @param {Row[]} rows */
    async #tuples(rows) {
      const writes = await this.#writes.read(rows.map(placeOf))
      return await Promise.all(rows.map((row, at) => this.#tuple(row, writes[at] ?? [])))
    }

    /**
     * @param {Row} row
     * @param {import('./writes-log.js').Write[]} writes
     */
    async #tuple(row, writes) {
      const { data } = row
      const { serde } = this
      const place = placeOf(row)
      const parent = data.parent === undefined ? undefined : { ...place, id: data.parent }
      const [checkpoint, metadata, pendingWrites] = await Promise.all([
        unpack(serde, data.checkpoint),
        unpack(serde, data.metadata),
        Promise.all(writes.map(async ({ task, channel, value }) => [task, channel, await unpack(serde, value)])),
      ])
      if (checkpoint.v < SENDS_ARE_VALUES && parent) await this.#addSends(checkpoint, parent)
      return {
        config: configOf(place),
        checkpoint,
        metadata,
        ...(parent && { parentConfig: configOf(parent) }),
        pendingWrites,
      }
    }

    /**
     * Adds the tasks that the checkpoint before has sent, as LangGraph's own savers do with its old checkpoints.
     *
     * @param {any} checkpoint
     * @param {Place} parent
     */
    async #addSends(checkpoint, parent) {
      const [writes = []] = await this.#writes.read([parent])
      const sent = writes.filter(({ channel }) => channel === TASKS)
      const versions = Object.values((checkpoint.channel_versions ??= {}))
      checkpoint.channel_values ??= {}
      checkpoint.channel_values[TASKS] = await Promise.all(sent.map(({ value }) => unpack(this.serde, value)))
      checkpoint.channel_versions[TASKS] =
        versions.length > 0 ? maxChannelVersion(...versions) : this.getNextVersion(undefined)
    }

    /**
     * The values to store. A value without a new version is one that an earlier checkpoint has stored. If there is no parent to
     * have it from, it counts only if another checkpoint of the namespace has it: so it is after a copy of the first checkpoint.
     *
     * @param {any} checkpoint
     * @param {Place} place
     * @param {string | undefined} parent
     * @param {Record<string, number | string>} [newVersions]
     */
    async #valuesOf({ channel_values: values = {}, channel_versions: versions = {} }, place, parent, newVersions) {
      if (parent !== undefined || newVersions === undefined) return values
      const older = Object.keys(values).filter((channel) => !Object.hasOwn(newVersions, channel))
      const unknown = new Set(older)
      if (unknown.size > 0) {
        for await (const page of historyOf(this.#checkpoints, taskOf(place.thread), { namespace: place.namespace })) {
          for (const { data } of page) {
            const { channel_values: stored, channel_versions: at } = await unpack(this.serde, data.checkpoint)
            for (const channel of unknown) {
              if (Object.hasOwn(stored, channel) && at[channel] === versions[channel]) unknown.delete(channel)
            }
          }
          if (unknown.size === 0) break
        }
      }
      return Object.fromEntries(Object.entries(values).filter(([channel]) => !unknown.has(channel)))
    }
  }

  // The first releases of Node 20 do not have the symbol.
  if (Symbol.asyncDispose) {
    Object.defineProperty(PostgresCheckpointSaver.prototype, Symbol.asyncDispose, {
      /** @this {PostgresCheckpointSaver} */
      async value() {
        await this.close()
      },
      configurable: true,
      writable: true,
    })
  }

  return PostgresCheckpointSaver
}

/**
 * What a config asks for. LangGraph's older name of `checkpoint_id` is `thread_ts`.
 *
 * @param {Config} config
 */
function asked({ configurable = {} }) {
  const { thread_id: thread, checkpoint_ns: namespace, checkpoint_id: id, thread_ts: older } = configurable
  return {
    thread: thread == null ? undefined : String(thread),
    namespace: namespace == null ? undefined : String(namespace),
    id: /** @type {string | undefined} */ (id || older || undefined),
  }
}

/** @param {Row} row @returns {Place} */
const placeOf = ({ taskId, data }) => ({ thread: threadOf(taskId), namespace: data.namespace, id: data.id })

/**
 * @param {Place} place
 * @param {unknown} [thread_id] as the application has it
 */
const configOf = ({ thread, namespace, id }, thread_id = thread) => ({
  configurable: { thread_id, checkpoint_ns: namespace, checkpoint_id: id },
})

/**
 * @param {string} what
 * @param {string} field
 */
const missing = (what, field) =>
  new TypeError(
    `Failed to ${what}: the config has no '${field}' in its 'configurable', such as { configurable: { ${field}: '…' } }`,
  )

module.exports = { saverOn }
