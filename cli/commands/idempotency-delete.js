// @ts-check
'use strict'

const { changing } = require('../change-command.js')
const { RESULT } = require('../subjects.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
The next run with the key does the work once more. A result that has changed since it was shown is left alone. Without
--key-prefix, the key is the one that is stored, its prefix included.

It shows what will happen and asks; --yes does not ask, and without a terminal it is required.

--json prints { key, deleted: true, result }: the result as it was, as "idempotency show --json" has it, without value.`,
  ...changing('delete-result', 'result', RESULT),
}
