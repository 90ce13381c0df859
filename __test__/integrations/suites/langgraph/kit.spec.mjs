// LangGraph's published kit for savers. It runs in vitest.

import crypto from 'node:crypto'
import { createRequire } from 'node:module'
import { deltaChannelHistoryTests, validate } from '@langchain/langgraph-checkpoint-validation'
import * as imported from 'goscope-postgres/langgraph'

const form = process.env.APP_FORM
const required = () => createRequire(import.meta.url)('goscope-postgres/langgraph')
const { PostgresCheckpointSaver } = form === 'require' ? required() : imported

const initializer = {
  // The kit skips tests for some savers, by their names.
  checkpointerName: `goscope-postgres (${form})`,
  // It expects an empty saver.
  createCheckpointer: () =>
    new PostgresCheckpointSaver(process.env.APP_DATABASE_URL, { keyPrefix: `${crypto.randomUUID()}:` }),
  destroyCheckpointer: (saver) => saver.close(),
}
validate(initializer)
deltaChannelHistoryTests(initializer)
