// @ts-check
// What happens if stdout or stderr cannot be written to: the process ends with a line, if that is possible, and no stack.
'use strict'

const { FAILED, FINE } = require('./problem.js')

/** @type {Record<string, string>} */
const REASONS = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EIO: 'the device failed',
  EBADF: 'it is closed',
}

/** To be called before anything is written. */
function endOnFailedOutput() {
  process.stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
    // Of a pipe whose reader has gone, such as `head`.
    if (error.code === 'EPIPE') process.exit(FINE)
    const reason = REASONS[error.code ?? ''] ?? error.message
    process.stderr.write(`goscope-postgres: the output could not be written: ${reason} (${error.code})\n`)
    process.exit(FAILED)
  })
  // There is nowhere left to report this to. The command goes on, and its exit code says how it went.
  process.stderr.on('error', () => {})
}

module.exports = { endOnFailedOutput }
