// @ts-check
// The package as it is packed and as it is published, made once for all test files that install it. To publish it takes
// a core 20 seconds.
'use strict'

const path = require('node:path')
const { tarball } = require('../helpers/consumer.js')
const { publishedRegistry } = require('../helpers/registry.js')

/** The environment with the shared result, by folder. @type {Record<string, () => Promise<NodeJS.ProcessEnv>>} */
const MAKERS = {
  consumers: async () => ({ GOSCOPE_TEST_TARBALL: await tarball() }),
  packaging: async () => ({ GOSCOPE_TEST_REGISTRY: JSON.stringify(await publishedRegistry()) }),
}
/** @type {Map<string, Promise<NodeJS.ProcessEnv>>} */
const made = new Map()

const folderOf = (/** @type {string} */ file) => path.basename(path.dirname(file))

/**
 * Begins to make what several of the files need. A file that runs alone makes it itself. A file also does so if this
 * failed, and then reports the reason.
 *
 * @param {string[]} files that are about to run
 * @returns {(file: string) => Promise<NodeJS.ProcessEnv>} what to add to a file's environment
 */
function sharedPackage(files) {
  for (const [folder, make] of Object.entries(MAKERS)) {
    if (made.has(folder) || files.filter((file) => folderOf(file) === folder).length < 2) continue
    made.set(
      folder,
      make().catch(() => ({})),
    )
  }
  return async (file) => (await made.get(folderOf(file))) ?? {}
}

module.exports = { sharedPackage }
