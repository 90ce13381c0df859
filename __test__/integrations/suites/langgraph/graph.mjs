// A graph with a subgraph that asks a question, beside a task that does not. Each step of the scenario may run in a process of
// its own, and prints what it has seen: `node graph.mjs start`. All steps with LangGraph's saver in memory, in one process:
// `node graph.mjs memory`.

import { inspect } from 'node:util'
import { Annotation, Command, END, interrupt, MemorySaver, START, StateGraph } from '@langchain/langgraph'
import { PostgresCheckpointSaver } from 'goscope-postgres/langgraph'

const [step] = process.argv.slice(2)
const checkpointer = step === 'memory' ? new MemorySaver() : new PostgresCheckpointSaver(process.env.APP_DATABASE_URL)
const config = { configurable: { thread_id: 'thread/1' } }

/** @type {string[]} */
let ran = []
const did = (name) => {
  ran.push(name)
  return { log: [name] }
}

const State = Annotation.Root({
  log: Annotation({ reducer: (log, more) => [...log, ...more], default: () => [] }),
  found: Annotation(),
})
const review = new StateGraph(State)
  .addNode('ask', () => ({ log: [`answer: ${interrupt('publish it?')}`] }))
  .addNode('note', () => did('note'))
  .addEdge(START, 'ask')
  .addEdge('ask', 'note')
  .addEdge('note', END)
  .compile()
const graph = new StateGraph(State)
  .addNode('beside', () => ({ ...did('beside'), found: new Map([['€', new Set([1])]]) }))
  .addNode('review', async ({ log }) => ({
    log: (await review.invoke({ log: [] })).log.map((line) => `${log[0]} ${line}`),
  }))
  .addNode('publish', () => did('publish'))
  .addEdge(START, 'beside')
  .addEdge(START, 'review')
  .addEdge(['beside', 'review'], 'publish')
  .addEdge('publish', END)
  .compile({ checkpointer })

const seen = ({ values, next, tasks, metadata }) => ({
  log: values.log,
  found: inspect(values.found),
  next,
  step: metadata?.step,
  interrupts: tasks.flatMap((task) => task.interrupts.map(({ value }) => value)),
})
const states = async () => {
  const all = []
  for await (const state of graph.getStateHistory(config)) all.push(state)
  return all
}
const result = ({ log, found }) => ({ log, found: inspect(found) })

const steps = {
  start: async () => result(await graph.invoke({ log: ['a\0b \ud800 €'] }, config)),
  state: async () => seen(await graph.getState(config)),
  resume: async () => result(await graph.invoke(new Command({ resume: 'yes' }), config)),
  history: async () => (await states()).map(seen),
  // From the checkpoint at which the question was asked, with another answer.
  travel: async () => {
    const asked = (await states()).findLast(({ next }) => next.includes('review'))
    return result(await graph.invoke(new Command({ resume: 'no' }), asked.config))
  },
  // Of the first checkpoint, which has no parent.
  copy: async () => {
    const first = (await states()).at(-1)
    const copied = await graph.updateState(first.config, null, '__copy__')
    return seen(await graph.getState(copied))
  },
  change: async () => {
    await graph.updateState(config, { log: ['by hand'] }, 'publish')
    return seen(await graph.getState(config))
  },
  namespaces: async () => {
    const found = new Set()
    for await (const { config } of checkpointer.list({ configurable: { thread_id: 'thread/1' } })) {
      found.add(config.configurable.checkpoint_ns.replace(/:.*/, ':…'))
    }
    return [...found].sort()
  },
  delete: async () => {
    await checkpointer.deleteThread('thread/1')
    return (await states()).length
  },
}

const run = async (name) => {
  ran = []
  console.log(JSON.stringify({ name, result: await steps[name](), ran }))
}
if (step === 'memory') for (const name of Object.keys(steps)) await run(name)
else await run(step)
await checkpointer.close?.()
