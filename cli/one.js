// @ts-check
// What the commands that show one row have in common.
'use strict'

const { JsonText, json } = require('./json.js')
const { PREFIX_OF_KEY } = require('./options.js')
const { absent } = require('./subjects.js')

/**
 * @param {import('./subjects.js').Subject} subject
 * @returns {import('./commands.js').Action}
 */
const showing = (subject) => ({
  options: { ...PREFIX_OF_KEY, ...subject.options },
  namesOne: true,
  keys: subject.keys,

  async look(session, given, [key]) {
    const row = await subject.find(session, key, given)
    if (row === undefined) throw await absent(subject, session, key, given)
    // The row may have a digest in place of the key.
    return { data: { ...subject.record({ ...row, key }, given), ...wholeValue(row) } }
  },

  show: (found, view, given) => view.facts(factsOf(subject.columns(given, found), found)) + shownValue(found),
})

/** The whole value of a row that was read with it. @param {any} row */
const wholeValue = ({ value }) => (value === undefined ? {} : { value: new JsonText(value) })

/** @param {{ value?: JsonText }} record */
const shownValue = ({ value }) => (value === undefined ? '' : `\n${json(value, 2)}\n`)

/**
 * @param {import('./view.js').Column[]} columns
 * @param {any} record
 */
const factsOf = (columns, record) =>
  columns.map(({ title, cell }) => {
    const shown = cell(record)
    return /** @type {[string, string]} */ ([title.toLowerCase(), typeof shown === 'string' ? shown : shown.text])
  })

module.exports = { factsOf, shownValue, showing, wholeValue }
