// @ts-check
'use strict'

const { changing } = require('../change-command.js')
const { CACHED } = require('../subjects.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
The next call that needs the value computes it again. An entry that has changed since it was shown is left alone.

It shows what will happen and asks; --yes does not ask, and without a terminal it is required.

--json prints { key, deleted: true, entry }: the entry as it was, as "cache list --json" has it.`,
  ...changing('delete-cached', 'entry', CACHED),
}
