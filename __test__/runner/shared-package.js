// @ts-check
// The package as it is packed and as it is published, made once for all test files that install it. To publish it takes
// a core 20 seconds.
'use strict'

const { tarball } = require('../support/consumer.js')
const { publishedRegistry } = require('../support/registry.js')

/** The environment with the shared result, by what files declare. */
const MAKERS = {
  packed: async () => ({ GOSCOPE_TEST_TARBALL: await tarball() }),
  published: async () => ({ GOSCOPE_TEST_REGISTRY: JSON.stringify(await publishedRegistry()) }),
}
/** @type {Map<string, Promise<NodeJS.ProcessEnv>>} */
const made = new Map()

/** @typedef {import('./declarations.js').Declaration} Declaration */

/**
 * Begins to make what several of the files need. A file that runs alone makes it itself. A file also does so if this
 * failed, and then reports the reason.
 *
 * @param {{ declaration: Declaration }[]} files that are about to run
 * @returns {(declaration: Declaration) => Promise<NodeJS.ProcessEnv>} what to add to a file's environment
 */
function sharedPackage(files) {
  for (const [name, make] of Object.entries(MAKERS)) {
    if (made.has(name) || files.filter(({ declaration }) => declaration.package === name).length < 2) continue
    made.set(
      name,
      make().catch(() => ({})),
    )
  }
  return async (declaration) => (declaration.package && (await made.get(declaration.package))) ?? {}
}

module.exports = { sharedPackage }
