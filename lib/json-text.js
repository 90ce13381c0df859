// @ts-check
'use strict'

/** JSON text in place of the value that it stands for: it is stored as it is, and not made a second time. */
class JsonText {
  #text

  /** @param {string} text */
  constructor(text) {
    this.#text = text
  }

  /**
   * The text, if the value is such text. Unlike `instanceof` this runs no code of a proxy.
   *
   * @param {unknown} value
   */
  static textOf(value) {
    return typeof value === 'object' && value !== null && #text in value ? value.#text : undefined
  }
}

module.exports = { JsonText }
