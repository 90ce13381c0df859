// @ts-check
'use strict'

/** JSON text in place of the value that it stands for: it is stored as it is, and not made a second time. */
class JsonText {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }

  /** For a cache that does not know this class, as one of another copy of this package. */
  toJSON() {
    return JSON.parse(this.text)
  }
}

module.exports = { JsonText }
