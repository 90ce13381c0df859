// @ts-check
// The SQL that makes tables and their additions: `sql/source/`, object by object, as src/store/source.rs reads it.
'use strict'

const fs = require('node:fs')
const path = require('node:path')

/**
 * @typedef {'table' | 'index' | 'guard' | 'function' | 'column' | 'sequence' | 'trigger'} Kind
 *
 * @typedef {object} SourceObject
 * @property {Kind} kind
 * @property {string} name without the types of a function's arguments; empty if the server picks one
 * @property {string} signature the name, of a function with the types of its arguments
 * @property {string[]} tables that it belongs to
 * @property {string} on of an index: what follows the table's name
 * @property {string} comment right before the code
 * @property {string} code with tokens
 *
 * @typedef {{ name: string, type: string, definition: string }} Column
 */

/** An object begins at a line with this; see tables.sql. */
const HEAD = '-- @'

/** @param {string} file */
const read = (file) => fs.readFileSync(path.join(__dirname, '..', 'sql', 'source', file), 'utf8')

/** @type {{ objects: SourceObject[], version: string } | undefined} */
let known

function source() {
  if (known === undefined) {
    const all = ['tables.sql', 'additions.sql'].flatMap((file) => read(file).split(`\n${HEAD}`).slice(1).map(object))
    const version = all.find(({ kind }) => kind === 'version')?.name ?? ''
    const objects = /** @type {SourceObject[]} */ (all.filter(({ kind }) => kind !== 'version'))
    known = { objects, version }
  }
  return known
}

/** @param {string} text that begins after {@link HEAD} */
function object(text) {
  const [head, ...lines] = text.trimEnd().split('\n')
  const [what, on = ''] = cut(head, ' on ')
  const [kind, rest = ''] = cut(what, ' ')
  const [signature, tables] = rest.startsWith('of ') ? ['', rest.slice('of '.length)] : cut(rest, ' of ')
  const isCode = (/** @type {string} */ line) => !line.startsWith('--')
  const start = lines.some(isCode) ? lines.findIndex(isCode) : lines.length
  return {
    kind,
    name: cut(signature, '(')[0],
    signature,
    tables: (tables ?? signature).split(', '),
    on,
    comment: lines.slice(0, start).join('\n'),
    code: lines.slice(start).join('\n'),
  }
}

/**
 * @param {string} text
 * @param {string} at
 * @returns {[string, string | undefined]} what is before the first of these, and what is after it
 */
function cut(text, at) {
  const place = text.indexOf(at)
  return place < 0 ? [text, undefined] : [text.slice(0, place), text.slice(place + at.length)]
}

/** All objects, in their order. */
const objects = () => source().objects

/**
 * The objects that these tables need.
 *
 * @param {string[]} tables
 */
const objectsOf = (tables) => needed(objects().filter((each) => each.tables.some((table) => tables.includes(table))))

/**
 * The guard checks who owns the existing functions before they are replaced.
 *
 * @param {SourceObject[]} some
 */
const needed = (some) =>
  some.some(({ kind }) => kind === 'function') ? some : some.filter(({ kind }) => kind !== 'guard')

/**
 * The statements that make an object, if it does not exist, with its comment.
 *
 * @param {SourceObject} object
 * @param {string} [table] as SQL has it, if not under the documented name
 */
function statement(object, table = object.tables[0]) {
  const { kind, name, on, comment, code } = object
  if (kind === 'index') return `CREATE INDEX IF NOT EXISTS ${name} ON ${table} ${on};`
  const values = { table, unlogged: '', unless_exists: 'IF NOT EXISTS ', version: source().version }
  const sql = namesItsSchema(object) ? inItsSchema(fill(code, values)) : fill(code, { ...values, schema: '' })
  return comment === '' ? sql : `${comment}\n${sql}`
}

/** Whether the body of a function names a table: with the schema, so that no temporary table is found first. */
const namesItsSchema = (/** @type {SourceObject} */ { kind, code }) =>
  kind === 'function' && code.split('{schema}').length > 2

/**
 * Only the server knows the schema.
 *
 * @param {string} code in which the schema is a token
 */
const inItsSchema = (code) => `DO $do$
BEGIN
  EXECUTE replace($sql$
${code}
$sql$, '{schema}', quote_ident(current_schema()) || '.');
END $do$;`

/**
 * Puts values in the places of tokens. Those without a value stay.
 *
 * @param {string} code
 * @param {Record<string, string>} values
 */
const fill = (code, values) =>
  code
    .split(/[{}]/)
    .map((part, place) => (place % 2 === 0 ? part : (values[part] ?? `{${part}}`)))
    .join('')

/**
 * The columns that a table is made with, one per line.
 *
 * @param {SourceObject} object
 * @returns {Column[]}
 */
const columnsOf = ({ code }) =>
  code
    .split('\n')
    .slice(1, -1)
    .map((line) => {
      const text = line.split('--')[0].trim()
      const [name, definition = ''] = cut(text.endsWith(',') ? text.slice(0, -1) : text, ' ')
      const [type] = definition.split(/ (?:PRIMARY KEY|NOT NULL|DEFAULT)/)
      return { name, definition: definition.trim(), type: type.trim().toLowerCase() }
    })

/** The column with which an index begins. @param {SourceObject} index */
const leadOf = ({ on }) => on.slice(1).split(/[,)]/)[0]

/** The version of the functions. */
const version = () => Number(source().version)

module.exports = { columnsOf, leadOf, needed, objects, objectsOf, statement, version }
