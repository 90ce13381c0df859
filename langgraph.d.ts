// biome-ignore-all lint/suspicious/noExplicitAny: the types of LangGraph, which are not imported here
import type { PostgresSource } from './index.js'

/**
 * Options of {@link PostgresCheckpointSaver}.
 *
 * @category Integrations
 */
export interface PostgresCheckpointSaverOptions {
  /** The text before each stored key: of the thread's task, and of its writes. Default `'langgraph:'`. */
  keyPrefix?: string | undefined
  /** The table of pending writes, as `name` or `schema.name`. Default `'go_goscope_langgraph_writes'`. */
  writesTable?: string | undefined
  /** `false` to create neither tables nor indexes. Default `true`. */
  createTables?: boolean | undefined
  /** How values become bytes. Default: LangGraph's own serializer, JSON with its further types. */
  serde?: LangGraphSerializer | undefined
}

/**
 * LangGraph's `SerializerProtocol`.
 *
 * @category Integrations
 */
export interface LangGraphSerializer {
  dumpsTyped(value: any): Promise<[string, Uint8Array]>
  loadsTyped(type: string, bytes: Uint8Array | string): Promise<any>
}

/**
 * The part of LangGraph's `RunnableConfig` that a saver reads: `thread_id`, `checkpoint_ns` and `checkpoint_id`.
 *
 * @category Integrations
 */
export interface LangGraphConfig {
  configurable?: Record<string, any>
}

/**
 * LangGraph's `Checkpoint`.
 *
 * @category Integrations
 */
export interface LangGraphCheckpoint {
  v: number
  id: string
  ts: string
  channel_values: Record<string, unknown>
  channel_versions: Record<string, number | string>
  versions_seen: Record<string, Record<string, number | string>>
}

/**
 * LangGraph's `CheckpointMetadata`.
 *
 * @category Integrations
 */
export interface LangGraphMetadata {
  source: 'input' | 'loop' | 'update' | 'fork'
  step: number
  parents: Record<string, string>
}

/**
 * LangGraph's `CheckpointTuple`.
 *
 * @category Integrations
 */
export interface LangGraphCheckpointTuple {
  config: LangGraphConfig
  checkpoint: LangGraphCheckpoint
  metadata?: LangGraphMetadata
  parentConfig?: LangGraphConfig
  pendingWrites?: [task: string, channel: string, value: unknown][]
}

/**
 * A checkpoint saver for LangGraph: a subclass of the `BaseCheckpointSaver` of `@langchain/langgraph-checkpoint`, which the
 * application installs.
 *
 * A thread is a task in `go_goscope_checkpoints`, with one row for each checkpoint. Pending writes are in a table of their own.
 *
 * Methods reject with the errors of `PostgresAdapter`.
 *
 * @category Integrations
 * @example
 * ```ts
 * import { PostgresCheckpointSaver } from 'goscope-postgres/langgraph'
 *
 * const checkpointer = new PostgresCheckpointSaver(pool)
 * const graph = builder.compile({ checkpointer })
 * await graph.invoke(input, { configurable: { thread_id: 'chat-42' } })
 * ```
 */
export declare class PostgresCheckpointSaver {
  /**
   * Opens no connection yet.
   *
   * @param pool a `Pool` or `Client` of `pg`, a connection string or a configuration; if absent, the environment says how to
   * connect
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an argument is wrong, or an option is misspelt
   */
  constructor(pool?: PostgresSource | null, options?: PostgresCheckpointSaverOptions)
  serde: LangGraphSerializer
  /** Makes the tables where they are missing. It need not be called: a method makes the table that it needs. */
  setup(): Promise<void>
  /** Closes what the saver has opened, after its calls under way. A `pg.Pool` that was given stays open. */
  close(): Promise<void>
  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
  /** The checkpoint that the config names, or else the latest of its thread and namespace. */
  getTuple(config: LangGraphConfig): Promise<LangGraphCheckpointTuple | undefined>
  get(config: LangGraphConfig): Promise<LangGraphCheckpoint | undefined>
  /**
   * The checkpoints of a thread, the newest first; of one namespace if the config names one, else of one namespace after the
   * other. Without a thread, those of all threads, one after the other. Pages of 100 are read as they are consumed.
   *
   * @param options `filter`: what the metadata contain. `before`: only checkpoints that are older
   */
  list(
    config: LangGraphConfig,
    options?: {
      limit?: number | undefined
      before?: LangGraphConfig | undefined
      filter?: Record<string, any> | undefined
    },
  ): AsyncGenerator<LangGraphCheckpointTuple>
  /**
   * Stores a checkpoint, in one statement. If its id exists, it is replaced.
   *
   * @throws TypeError if the config has no `thread_id`
   */
  put(
    config: LangGraphConfig,
    checkpoint: LangGraphCheckpoint,
    metadata: LangGraphMetadata,
    newVersions: Record<string, number | string>,
  ): Promise<LangGraphConfig>
  /**
   * Stores the writes of a task. Of two writes under one index of a task, the first stays, whichever process has made it; on a
   * special channel, such as that of interrupts, the last.
   *
   * @throws TypeError if the config has no `thread_id` or no `checkpoint_id`
   */
  putWrites(
    config: LangGraphConfig,
    writes: [channel: string, value: unknown][],
    taskId: string,
    taskPath?: string,
  ): Promise<void>
  /**
   * Deletes the checkpoints of a thread, in one statement, and then their writes. If it rejects, call it again: the next call
   * finishes the work.
   */
  deleteThread(threadId: string): Promise<void>
  /** For LangGraph's delta channels: what they were at their last snapshot, and the writes since. */
  getDeltaChannelHistory(options: {
    config: LangGraphConfig
    channels: string[]
  }): Promise<Record<string, { writes: [task: string, channel: string, value: unknown][]; seed?: unknown }>>
  getNextVersion(current: number | undefined): number
  toJSON(): string
}
