// @ts-check
'use strict'

/**
 * Whether JSON has in it what JSONB cannot hold: U+0000 or a lone surrogate. `JSON.stringify` escapes both. Text that only looks
 * like that is refused, too.
 *
 * @param {string} json
 */
const isRefusedByJsonb = (json) => /\\u0000|\\ud[89a-f]/.test(json)

module.exports = { isRefusedByJsonb }
