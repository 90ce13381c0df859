// @ts-check
// Tables in Markdown, and what their cells have in common.
'use strict'

/** @param {string[][]} rows the first is the header */
function table([header = [], ...rows]) {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** @param {string} title of one method, or of two */
const code = (title) => `\`${title.replace(' + ', '` + `')}\``

module.exports = { code, table }
