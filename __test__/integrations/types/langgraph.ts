// Compiled against the types of LangGraph. See integrations/langgraph.test.js.

import { MemorySaver, MessagesAnnotation, StateGraph } from '@langchain/langgraph'
import { type BaseCheckpointSaver, type CheckpointTuple, JsonPlusSerializer } from '@langchain/langgraph-checkpoint'
import { PostgresCheckpointSaver } from 'goscope-postgres/langgraph'
import { Pool } from 'pg'

const checkpointer = new PostgresCheckpointSaver(new Pool(), { keyPrefix: 'chat:', serde: new JsonPlusSerializer() })
const base: BaseCheckpointSaver = checkpointer
const builder = new StateGraph(MessagesAnnotation)
  .addNode('answer', () => ({ messages: [] }))
  .addEdge('__start__', 'answer')
builder.compile({ checkpointer })

export async function use() {
  const tuple: CheckpointTuple | undefined = await checkpointer.getTuple({ configurable: { thread_id: '1' } })
  for await (const each of checkpointer.list({}, { limit: 1, before: tuple?.config })) base.get(each.config)
  if (tuple?.metadata) await checkpointer.put(tuple.config, tuple.checkpoint, tuple.metadata, {})
  await checkpointer.putWrites({}, [['channel', 1]], 'task', 'path')
}

// @ts-expect-error: no number of connections
new PostgresCheckpointSaver(1)
// @ts-expect-error: no such option
new PostgresCheckpointSaver(undefined, { keyprefix: 'chat:' })
// @ts-expect-error: LangGraph's own, which is no saver of this package
const own: PostgresCheckpointSaver = new MemorySaver()
own.setup()
