// @ts-check
// Handles a stdout or stderr that cannot be written to: the process ends with one line, if that is possible, and no
// stack.
'use strict'

const { FAILED, FINE } = require('./problem.js')

/** @type {Record<string, string>} */
const REASONS = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EIO: 'the device failed',
  EBADF: 'it is closed',
}

/** To be called before the first output. */
function endOnFailedOutput() {
  process.stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
    // On a pipe whose reader has ended, such as `head`.
    if (error.code === 'EPIPE') process.exit(FINE)
    const reason = REASONS[error.code ?? ''] ?? error.message
    process.stderr.write(`goscope-postgres: the output could not be written: ${reason} (${error.code})\n`)
    process.exit(FAILED)
  })
  // No stream is left for a report. The command continues, and its exit code shows the outcome.
  process.stderr.on('error', () => {})
}

module.exports = { endOnFailedOutput }
