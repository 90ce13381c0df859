// @ts-check
// The body of a process that `processes.js` starts.
'use strict'

const [task, input] = process.argv.slice(2)
const run = /** @type {any} */ (require('./tasks.js'))[/** @type {string} */ (task)]

const orphaned = () => process.exit(1)
process.on('disconnect', orphaned)
process.once('message', async () => {
  try {
    const note = (/** @type {unknown} */ note) => process.send?.({ note })
    process.send?.({ result: (await run({ ...JSON.parse(/** @type {string} */ (input)), note })) ?? null })
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.stack : String(error) })
  }
  // The process must now end by itself: an idle adapter does not keep it alive.
  process.off('disconnect', orphaned)
  process.disconnect()
})
process.send?.({ ready: true })
