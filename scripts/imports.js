// @ts-check
// Imports point downward: in the crate, and between the folders of JavaScript. No file of src/, cli/ and lib/ is in a
// circle of imports. A mod.rs only lists and re-exports. JSON is made in src/node/.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { rustImports } = require('./rust-imports.js')

const root = path.join(__dirname, '..')

/** The parts of the crate from the top down: each imports from itself and from those below it. */
const LAYERS = [
  ['models'],
  ['node'],
  ['store'],
  ['engine/batching'],
  ['engine/batching/scheduling'],
  ['engine/notifications'],
  ['engine/connection'],
  ['engine/error', 'engine/errno', 'engine/panics', 'engine/row', 'engine/sqlstate'],
  ['primitives'],
  ['histogram', 'sync', 'time', 'tuning'],
]
/** The folders of JavaScript from the top down, in the same way. So only tests import from tests. */
const FOLDERS = [['__test__'], ['bench', 'examples'], ['reference', 'scripts'], ['bin'], ['cli'], ['lib']]
/** Below src/node/, code that reads or writes JSON. All of it is between the store and the server. */
const JSON_OF_TABLES = [
  'src/store/cells.rs', // checks values that a row holds
  'src/store/digested.rs', // what a row holds beside its value
]
/**
 * They list modules and re-export. What is imported by their names counts as of the file that has it; a map itself is
 * above all that it lists.
 *
 * @type {Record<string, number>}
 */
const MAPS = {
  'src/lib.rs': -1,
  'src/engine/mod.rs': LAYERS.findIndex(([part = '']) => part.startsWith('engine/')),
}

/** @type {string[]} */
const problems = []

/** The files that each file of the crate imports. */
const crate = rustImports(root, filesIn('src', '.rs'))

const moduleOf = (/** @type {string} */ file) => file.slice('src/'.length, -'.rs'.length)

/** @param {string} name of a module, below the crate's root */
function layerOf(name) {
  const parts = LAYERS.flatMap((layer, at) => layer.map((part) => ({ part, at })))
  const own = parts.filter(({ part }) => name === part || name.startsWith(`${part}/`))
  // The longest name: a part may lie within the folder of another.
  return own.sort((one, other) => other.part.length - one.part.length)[0]?.at
}

function checkCrate() {
  for (const file of filesIn('src', '.rs').filter((file) => !(file in MAPS))) {
    const own = layerOf(moduleOf(file))
    if (own === undefined) {
      problems.push(`${file} is in none of the layers of scripts/imports.js`)
      continue
    }
    // The tests of a module come last, and may import what they like.
    const [code = ''] = fs.readFileSync(path.join(root, file), 'utf8').split('#[cfg(test)]')
    // The second is an object in the text of a `format!`.
    const makesJson = /\bserde_json\b|\{\{\\?"/.test(code)
    if (makesJson && /^src\/(?:store|engine)\//.test(file) && !JSON_OF_TABLES.includes(file)) {
      problems.push(`${file} makes or reads JSON, which is for src/node/ only`)
    }
    for (const other of crate.get(file) ?? []) {
      if ((MAPS[other] ?? layerOf(moduleOf(other)) ?? 0) < own) problems.push(`${file} imports upward: ${other}`)
    }
  }
}

/** What is left of a mod.rs without comments, attributes, and its lists of modules and names. */
function checkMaps() {
  for (const file of filesIn('src', 'mod.rs')) {
    const code = fs.readFileSync(path.join(root, file), 'utf8').replace(/\/\/.*$/gm, '')
    const rest = code.replace(/^\s*(?:#\[.*\]|(?:pub(?:\([^)]*\))? )?(?:mod|use) [^;]*;)/gm, '').trim()
    if (rest !== '') problems.push(`${file} does more than list and re-export: ${rest.split('\n')[0]}`)
  }
}

/** @param {string} file */
const folderOf = (file) => FOLDERS.findIndex((layer) => layer.includes(file.split('/')[0] ?? ''))

/** Also the types that comments import: a folder that is not there has no types either. */
function checkFolders() {
  for (const file of FOLDERS.flat().flatMap((folder) => filesIn(folder, '.js'))) {
    const code = fs.readFileSync(path.join(root, file), 'utf8')
    for (const [, name = ''] of code.matchAll(/\b(?:require|import)\('(\.{1,2}\/[^']+)'\)/g)) {
      const found = path.posix.join(path.posix.dirname(file), name)
      const [own, layer] = [folderOf(file), folderOf(found)]
      const isBeside = layer === own && found.split('/')[0] !== file.split('/')[0]
      if (layer !== -1 && (layer < own || isBeside)) problems.push(`${file} imports upward: ${found}`)
    }
  }
}

/** @returns {Map<string, string[]>} the files that each imports */
function scriptImports() {
  const files = [...filesIn('lib', '.js'), ...filesIn('cli', '.js')]
  /** @type {Map<string, string[]>} */
  const imports = new Map()
  for (const file of files) {
    const code = fs.readFileSync(path.join(root, file), 'utf8')
    const names = [...code.matchAll(/^[^/*\n]*require\('(\.{1,2}\/[^']+)'\)/gm)].map(([, name = '']) => name)
    const found = names.map((name) => path.posix.join(path.posix.dirname(file), name))
    imports.set(
      file,
      found.filter((name) => files.includes(name)),
    )
  }
  return imports
}

/** @param {Map<string, Iterable<string>>} imports */
function checkCircles(imports) {
  /** @type {Set<string>} */
  const done = new Set()
  const visit = (/** @type {string} */ file, /** @type {string[]} */ way) => {
    if (way.includes(file)) return problems.push(`a circle: ${[...way.slice(way.indexOf(file)), file].join(' → ')}`)
    if (done.has(file)) return
    for (const next of imports.get(file) ?? []) visit(next, [...way, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
}

/**
 * @param {string} folder
 * @param {string} ending
 */
function filesIn(folder, ending) {
  const names = fs.readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
  const files = names.map((name) => `${folder}/${name.replaceAll(path.sep, '/')}`)
  return files.filter((name) => name.endsWith(ending)).sort()
}

checkCrate()
checkFolders()
checkCircles(scriptImports())
checkCircles(crate)
checkMaps()
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)
