// @ts-check
// The packages in the folder of a fetched one: its dependencies stand beside it.
'use strict'

const { createRequire } = require('node:module')
const path = require('node:path')

/**
 * @param {string} folder of a package
 * @param {string} name of another
 */
const requireBeside = (folder, name) => createRequire(path.join(folder, 'package.json'))(name)

module.exports = { requireBeside }
