// Processes that write to the same checkpoints at the same time: `node writers.mjs <name> <how> <processes>`.

import { setTimeout } from 'node:timers/promises'
import { emptyCheckpoint, INTERRUPT, uuid6 } from '@langchain/langgraph-checkpoint'
import { PostgresAdapter } from 'goscope-postgres'
import { PostgresCheckpointSaver } from 'goscope-postgres/langgraph'

const [name, how, processes] = process.argv.slice(2)
const saver = new PostgresCheckpointSaver(process.env.APP_DATABASE_URL)
const signals = new PostgresAdapter(process.env.APP_DATABASE_URL, { keyPrefix: 'signals:' })

/** Waits until all processes are here. */
async function meet(place) {
  await signals.increment(place)
  while ((await signals.get(place)) < Number(processes)) await setTimeout(1)
}

const metadata = { source: 'loop', step: 0, parents: {} }
const config = (checkpoint_id) => ({ configurable: { thread_id: 'raced', checkpoint_ns: '', checkpoint_id } })

const work = {
  // The same task in each process, and one of its own.
  writes: async () => {
    for (let round = 0; round < 60; round++) {
      await meet(`round ${round}`)
      const checkpoint = config(`round ${round}`)
      await Promise.all([
        saver.putWrites(checkpoint, [['one', name], ['two', name]], 'shared', 'path'), // biome-ignore format: one call
        saver.putWrites(checkpoint, [['one', name]], name, 'path'),
        saver.putWrites(checkpoint, [[INTERRUPT, name]], 'shared', 'path'),
      ])
      // What was read once is read again.
      const [first, again] = [await saver.getTuple(checkpoint), await saver.getTuple(checkpoint)]
      const shared = ({ pendingWrites }) =>
        pendingWrites.filter(([task, channel]) => task === 'shared' && channel !== INTERRUPT)
      if (JSON.stringify(shared(first)) !== JSON.stringify(shared(again))) throw new Error(`changed: ${shared(again)}`)
    }
  },
  // A graph that runs on while its thread is deleted. Each checkpoint is the parent of the next.
  run: async () => {
    let parent
    for (let step = 0; step < 150; step++) {
      const id = uuid6(step)
      await saver.put(config(parent), { ...emptyCheckpoint(), id }, { ...metadata, step }, {})
      await saver.putWrites(config(id), [['step', step]], 'task')
      parent = id
    }
    await saver.put(config(parent), { ...emptyCheckpoint(), id: uuid6(150) }, { ...metadata, step: 150 }, {})
    await signals.set('is over', true)
  },
  // As long as the graph runs.
  delete: async () => {
    while (!(await signals.has('is over'))) await saver.deleteThread('raced')
  },
}

await meet(how === 'writes' ? 'writers' : 'runners')
await work[how]()
await saver.close()
await signals.close()
