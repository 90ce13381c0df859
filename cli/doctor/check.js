// @ts-check
'use strict'

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {'ok' | 'warning' | 'failed'} status
 * @property {string} message
 * @property {string} [advice]
 */

/**
 * @param {string} name
 * @param {string} message
 * @returns {Check}
 */
const ok = (name, message) => ({ name, status: 'ok', message })

/**
 * @param {string} name
 * @param {string} message
 * @param {string} [advice]
 * @returns {Check}
 */
const warning = (name, message, advice) => ({ name, status: 'warning', message, ...(advice && { advice }) })

/**
 * @param {string} name
 * @param {string} message
 * @param {string} [advice]
 * @returns {Check}
 */
const failed = (name, message, advice) => ({ name, status: 'failed', message, ...(advice && { advice }) })

module.exports = { failed, ok, warning }
