// @ts-check
// The machine and the code that the figures come from.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** What statfs calls a file system in memory, where a flush costs nothing. */
const TMPFS = 0x01021994

function machine() {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? '',
    cores: os.availableParallelism(),
    memoryGiB: Number((os.totalmem() / 2 ** 30).toFixed(1)),
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    load: Number((os.loadavg()[0] ?? 0).toFixed(2)),
    dataInMemory: fs.statfsSync(os.tmpdir()).type === TMPFS,
  }
}

/** @returns {string | undefined} the commit, with a plus where files have changed since */
function commit() {
  const git = (/** @type {string[]} */ ...args) =>
    spawnSync('git', args, { cwd: path.join(__dirname, '..'), encoding: 'utf8' }).stdout?.trim()
  const id = git('rev-parse', '--short', 'HEAD')
  return id ? id + (git('status', '--porcelain', '--', '.', ':!bench/results') ? '+' : '') : undefined
}

module.exports = { machine, commit }
