// @ts-check
// Which files of the crate import which, read from their `use` declarations and from paths in their code. What a
// `mod.rs` re-exports counts as an import of the file that has it.
'use strict'

const fs = require('node:fs')
const path = require('node:path')

/**
 * @typedef {object} Crate
 * @property {Map<string, string>} files by module: `engine::error` → src/engine/error.rs
 * @property {Map<string, string>} sources by file, without comments and without the tests at their end
 * @property {Map<string, Map<string, string>>} reexports by module: a name → the path that it stands for
 */

/**
 * @param {string} root of the repository
 * @param {string[]} names of the crate's files
 * @returns {Map<string, Set<string>>} the files that each imports
 */
function rustImports(root, names) {
  const crate = read(root, names)
  /** @type {Map<string, Set<string>>} */
  const imports = new Map()
  for (const [module, file] of crate.files) {
    const found = pathsIn(crate.sources.get(file) ?? '', module).map((name) => fileOf(crate, name))
    imports.set(file, new Set(found.flatMap((other) => (other === undefined || other === file ? [] : [other]))))
  }
  return imports
}

/** @param {string} root @param {string[]} names @returns {Crate} */
function read(root, names) {
  const crate = /** @type {Crate} */ ({ files: new Map(), sources: new Map(), reexports: new Map() })
  for (const file of names) {
    const parts = file.slice('src/'.length, -'.rs'.length).split('/')
    const module = parts.filter((part) => part !== 'mod' && part !== 'lib').join('::')
    const [code = ''] = fs.readFileSync(path.join(root, file), 'utf8').split('#[cfg(test)]\nmod tests')
    const source = code.replace(/\/\/.*$/gm, '')
    crate.files.set(module, file)
    crate.sources.set(file, source)
    const uses = [...source.matchAll(/\bpub(?:\([^)]*\))? use ([^;]+);/g)].flatMap(([, tree = '']) => expand(tree))
    crate.reexports.set(module, new Map(uses.map((use) => [last(use), absolute(use, module, crate)])))
  }
  return crate
}

/** All paths in a file's code, from the crate's root. @param {string} source @param {string} module */
function pathsIn(source, module) {
  const uses = [...source.matchAll(/\buse ([^;]+);/g)].flatMap(([, tree = '']) => expand(tree))
  const others = [...source.replace(/\buse [^;]+;/g, '').matchAll(/\b(?:crate|super)(?:::\w+)+/g)].map(([name]) => name)
  return [...uses, ...others].map((name) => absolute(name, module)).filter((name) => name !== undefined)
}

/** The paths of a `use` tree: `a::{b, c::{self, d as e}}` has three. @param {string} tree @returns {string[]} */
function expand(tree) {
  const text = tree
    .replace(/\s+/g, ' ')
    .replace(/ as \w+/g, '')
    .trim()
  const open = text.indexOf('{')
  if (open < 0) return [text.replace(/::(self|\*)$/, '')]
  const prefix = text.slice(0, open)
  return split(text.slice(open + 1, text.lastIndexOf('}'))).flatMap((part) => expand(prefix + part))
}

/** At the commas that are in no inner braces. @param {string} list */
function split(list) {
  const parts = ['']
  let depth = 0
  for (const char of list) {
    depth += char === '{' ? 1 : char === '}' ? -1 : 0
    if (char === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += char
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

/**
 * @param {string} name
 * @param {string} module that names it
 * @param {Crate} [crate]
 * @returns {any} undefined for another crate's
 */
function absolute(name, module, crate) {
  const parts = name.split('::')
  if (parts[0] === 'crate') return parts.slice(1).join('::')
  const own = module === '' ? [] : module.split('::')
  if (parts[0] === 'super' || parts[0] === 'self') {
    while (parts[0] === 'super' || parts[0] === 'self') if (parts.shift() === 'super') own.pop()
    return [...own, ...parts].join('::')
  }
  // A re-export of a `mod.rs` names its modules without a prefix.
  return crate ? [...own, ...parts].join('::') : undefined
}

/** The file that has what a path names. @param {Crate} crate @param {string} name @returns {string | undefined} */
function fileOf(crate, name, depth = 0) {
  const parts = name.split('::')
  for (let length = parts.length; length > 0; length--) {
    const module = parts.slice(0, length).join('::')
    const file = crate.files.get(module)
    if (file === undefined) continue
    const next = parts[length]
    const reexport = next === undefined ? undefined : crate.reexports.get(module)?.get(next)
    const elsewhere = reexport !== undefined && depth < 5 ? fileOf(crate, reexport, depth + 1) : undefined
    return elsewhere ?? file
  }
  // Something of lib.rs itself.
  return crate.files.get('')
}

/** @param {string} name */
const last = (name) => name.slice(name.lastIndexOf(':') + 1)

module.exports = { rustImports }
