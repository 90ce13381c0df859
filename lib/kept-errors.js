// @ts-check
// An application's own error, such as one from its password function, must reject the call as it is. Native code
// carries only its number from the failed connection to the calls that waited for it.
'use strict'

// One failed connection can fail many calls, one after the other; after this many later failures none is waiting.
const KEPT = 256

/** @type {Map<number, unknown>} */
const errors = new Map()
let tickets = 0

/** @param {unknown} error */
function keepError(error) {
  tickets = (tickets + 1) >>> 0
  errors.set(tickets, error)
  if (errors.size > KEPT) errors.delete(errors.keys().next().value ?? 0)
  return tickets
}

/** @param {number} ticket */
const keptError = (ticket) => errors.get(ticket)

module.exports = { keepError, keptError }
