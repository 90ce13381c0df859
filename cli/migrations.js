// @ts-check
// The SQL of the package's folder `sql/`, statement by statement, and the parts of it that a server lacks.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { partitionedIndex, partsOf } = require('./partitions.js')
const { quote } = require('./tables.js')

/**
 * @typedef {object} Statement
 * @property {string} sql with the comment right before it: others are the file's
 * @property {string} code without them
 * @property {Kind} kind
 * @property {string} name of what it makes
 * @property {string} [table] that it is about
 *
 * @typedef {'table' | 'index' | 'column' | 'sequence' | 'function' | 'trigger' | 'guard' | 'other'} Kind
 *
 * @typedef {{ name: string, type: string, definition: string }} Column
 * @typedef {import('./partitions.js').Part} Part
 */

/** @param {string} file */
const read = (file) => fs.readFileSync(path.join(__dirname, '..', 'sql', file), 'utf8')

/**
 * The table of a PostgresCacheAdapter, made by the statements of its migration.
 *
 * @param {string[]} parts of its name
 */
function cacheTable(parts) {
  const name = quote(parts)
  // A name may hold any text. So no comment contains it, and the quotes of the block do not occur in it.
  let tag = '$do$'
  while (name.includes(tag)) tag = `$do_${tag.slice(1)}`
  const words = new Map([
    [" with `tableName: 'cache'`, for `createTables: false`. For another, replace the name.", '.'],
    ['CREATE TABLE IF NOT EXISTS cache (', `CREATE TABLE IF NOT EXISTS ${name} (`],
    ['DO $$', `DO ${tag}`],
    ["'cache'::regclass", `'${name.replaceAll("'", "''")}'::regclass`],
    ['CREATE INDEX ON cache (', `CREATE INDEX ON ${name} (`],
    ['END $$;', `END ${tag};`],
  ])
  const sql = read('cache-table.sql')
  for (const ours of words.keys()) {
    if (!sql.includes(ours)) throw new Error(`sql/cache-table.sql says no more: ${ours}`)
  }
  // In one pass, so that the name itself is not searched.
  const any = new RegExp([...words.keys()].map((each) => each.replace(/[$().]/g, '\\$&')).join('|'), 'g')
  return sql.replace(any, (ours) => words.get(ours) ?? ours)
}

/**
 * @param {string} text
 * @returns {Statement[]}
 */
const statements = (text) =>
  split(text).map((sql) => {
    const code = sql.replace(/^(\s*--.*\n|\s*\n)*/, '')
    const [comment] = /(?:--.*\n)*$/.exec(sql.slice(0, -code.length)) ?? ['']
    return { sql: `${comment}${code}`, code, ...made(code) }
  })

/**
 * Splits at the semicolons that end statements: not in comments, strings or bodies of functions.
 *
 * @param {string} text
 */
function split(text) {
  const token = /--.*|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|;/g
  /** @type {string[]} */
  const found = []
  let start = 0
  for (const { 0: part, index } of text.matchAll(token)) {
    if (part !== ';') continue
    found.push(text.slice(start, index + 1))
    start = index + 1
  }
  return found
}

/** @type {[Kind, RegExp][]} */
const FORMS = [
  ['table', /^CREATE TABLE IF NOT EXISTS (?<name>\S+)(?<table>)/],
  ['index', /^CREATE (?:UNIQUE )?INDEX IF NOT EXISTS (?<name>\S+) ON (?<table>\S+)/],
  ['column', /^ALTER TABLE (?<table>\S+) ADD COLUMN IF NOT EXISTS (?<name>\S+)/],
  ['sequence', /^CREATE SEQUENCE IF NOT EXISTS (?<name>\w+)/],
  ['sequence', /^ALTER SEQUENCE (?<name>\w+) OWNED BY (?<table>\w+)\./],
  ['function', /^CREATE OR REPLACE FUNCTION (?<name>\w+)/],
  ['function', /^DO \$do\$[\s\S]*?CREATE OR REPLACE FUNCTION \{schema\}(?<name>\w+)/],
  ['guard', /^DO \$(?<name>guard)\$/],
  ['trigger', /^DROP TRIGGER IF EXISTS (?<name>\w+) ON (?<table>\w+)/],
  ['trigger', /^CREATE TRIGGER (?<name>\w+)[\s\S]*? ON (?<table>\w+)/],
]

/**
 * @param {string} code
 * @returns {{ kind: Kind, name: string, table?: string }}
 */
function made(code) {
  for (const [kind, form] of FORMS) {
    const groups = form.exec(code)?.groups
    if (groups) return { kind, name: groups.name, table: groups.table || (kind === 'table' ? groups.name : undefined) }
  }
  return { kind: 'other', name: '' }
}

/**
 * The statements that these tables need. A function belongs to the tables that it names, and to the table whose
 * trigger it is.
 *
 * @param {Statement[]} all
 * @param {string[]} tables
 */
function of(all, tables) {
  return guarded(all.filter(isOf(all, tables)))
}

/**
 * The guard checks who owns the existing functions before they are replaced.
 *
 * @param {Statement[]} some
 */
const guarded = (some) =>
  some.some(({ kind }) => kind === 'function') ? some : some.filter(({ kind }) => kind !== 'guard')

/**
 * @param {Statement[]} all
 * @param {string[]} tables
 * @returns {(statement: Statement) => boolean}
 */
function isOf(all, tables) {
  const ours = all.filter(({ table }) => table !== undefined && tables.includes(table))
  const names = (/** @type {string} */ code, /** @type {string} */ name) => new RegExp(`\\b${name}\\b`).test(code)
  return (statement) => {
    if (statement.table !== undefined) return tables.includes(statement.table)
    if (statement.kind === 'function') {
      return (
        tables.some((table) => names(statement.code, table)) || ours.some(({ code }) => names(code, statement.name))
      )
    }
    return statement.kind === 'sequence' ? tables.some((table) => statement.name.startsWith(table)) : true
  }
}

/**
 * The columns that a CREATE TABLE of ours makes, one per line.
 *
 * @param {Statement} statement
 * @returns {Column[]}
 */
const columnsOf = ({ code }) =>
  [...code.matchAll(/^ {2}(\w+) +([^\n]*?),?(?: *--.*)?$/gm)].map(([, name, definition]) => ({
    name,
    definition: definition.trim(),
    type: definition
      .replace(/ (PRIMARY KEY|NOT NULL|DEFAULT).*/, '')
      .trim()
      .toLowerCase(),
  }))

/**
 * @typedef {object} Objects as src/store/inspection/catalogue.rs finds them; tables are named as in SQL, quoted
 * @property {{ table: string, name: string, type: string, notNull: boolean, hasDefault: boolean, isGenerated: boolean, isDeterministic: boolean, lacksSequence: string | null }[]} columns
 * @property {{ table: string, name: string, isValid: boolean, isUnique: boolean, columns: string[] }[]} indexes
 * @property {Part[]} partitions the parts of each partitioned table, at all levels, the table itself first
 * @property {{ table: string, name: string, isEnabled: boolean, isTrusted: boolean }[]} triggers
 * @property {{ name: string, owner: string, isTrusted: boolean, version: number, isExecutable: boolean }[]} functions
 * @property {{ name: string, owner: string, isTrusted: boolean, isUsable: boolean }[]} sequences
 */

/**
 * Whether the object of a statement exists, in this version or a later one, and belongs to no other role. An index
 * counts by its leading column, since an index with another name serves as well.
 *
 * @param {Statement} statement
 * @param {Objects} objects
 */
function isMade({ kind, name, table = '', code }, objects) {
  const of = (/** @type {{ table: string }} */ each) => each.table === `"${table}"`
  switch (kind) {
    case 'table':
      return objects.columns.some((column) => column.table === `"${name}"`)
    case 'column':
      return objects.columns.some((column) => of(column) && column.name === name)
    case 'index': {
      const lead = / ON \S+ \((\w+)/.exec(code)?.[1]
      return objects.indexes.some((index) => of(index) && index.isValid && index.columns[0] === lead)
    }
    case 'trigger':
      return objects.triggers.some((trigger) => of(trigger) && trigger.name === name && trigger.isTrusted)
    case 'function':
      return (
        !isForeign(name, objects) &&
        objects.functions.some((known) => known.name === name && known.version >= versionOf(code))
      )
    case 'sequence':
      return objects.sequences.some((sequence) => sequence.name === name && sequence.isTrusted)
    case 'guard':
      return true
    default:
      return false
  }
}

/** @param {string} code of a function */
const versionOf = (code) => Number(/goscope-postgres additions (\d+)/.exec(code)?.[1])

/**
 * Whether another role has a function of this name.
 *
 * @param {string} name
 * @param {Objects} objects
 */
const isForeign = (name, objects) => objects.functions.some((known) => known.name === name && !known.isTrusted)

/**
 * The statements to run, so that nothing is missing: whole tables, and the missing parts of existing tables.
 *
 * @param {Statement[]} all
 * @param {Objects} objects
 * @returns {string[]}
 */
const missing = (all, objects) =>
  guarded(all.filter((one) => one.kind === 'guard' || one.kind === 'table' || !isMade(one, objects))).flatMap(
    (statement) => {
      if (statement.kind === 'index') return indexOf(statement, objects)
      if (statement.kind === 'guard' || !isMade(statement, objects)) return [statement.sql]
      if (statement.kind !== 'table') return []
      const present = objects.columns.filter(({ table }) => table === `"${statement.name}"`)
      return columnsOf(statement)
        .filter(({ name }) => !present.some((column) => column.name === name))
        .map(({ name, definition }) => `ALTER TABLE ${statement.name} ADD COLUMN IF NOT EXISTS ${name} ${definition};`)
    },
  )

/**
 * An index that is missing.
 *
 * @param {Statement} statement
 * @param {Objects} objects
 */
function indexOf({ sql, code, name, table }, objects) {
  const on = / ON \S+ (\([\s\S]*);$/.exec(code)?.[1]
  if (on === undefined) throw new Error(`sql/ makes an index in another form: ${code}`)
  const parts = partsOf(`"${table}"`, objects)
  return parts.length === 0 ? [sql] : partitionedIndex(name, on, parts)
}

/** The documented tables' statements. */
const documented = () => statements(read('schema.sql'))

module.exports = {
  cacheTable,
  columnsOf,
  documented,
  isMade,
  missing,
  of,
  read,
  statements,
}
