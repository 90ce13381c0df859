// @ts-check
// The recipes of examples/hosts, as an application that has the package from a registry.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { Consumer } = require('./consumer.js')

const HOSTS = path.join(__dirname, '../../examples/hosts')

/**
 * A clean folder with packages from the registry.
 *
 * @param {string} registry
 * @param {string[]} specs
 * @param {string[]} [options] of npm
 */
async function folderWith(registry, specs, options = []) {
  const consumer = new Consumer()
  await consumer.install(specs, [`--registry=${registry}`, ...options])
  return consumer
}

/**
 * The recipe's files, in the folder in which it is built.
 *
 * @param {string} registry
 * @param {string} recipe
 * @param {string[]} tools
 */
async function recipe(registry, recipe, tools) {
  const consumer = await folderWith(registry, ['goscope-postgres', ...tools])
  fs.cpSync(path.join(HOSTS, recipe), consumer.folder, {
    recursive: true,
    filter: (from) => !from.endsWith('package.json'),
  })
  return consumer
}

module.exports = { HOSTS, folderWith, recipe }
