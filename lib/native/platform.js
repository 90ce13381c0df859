// @ts-check
// The platform, as in the names of addons and their packages.
'use strict'

const fs = require('node:fs')

/**
 * @param {{ platform: string, arch: string, execPath: string }} [program] what runs this
 * @returns {string} such as `linux-x64-gnu`
 */
function platformName({ platform, arch, execPath } = process) {
  if (platform === 'linux') return `linux-${arch}-${usesMusl(execPath) ? 'musl' : 'gnu'}`
  if (platform === 'win32') return `win32-${arch}-msvc`
  return `${platform}-${arch}`
}

/**
 * Whether a program runs on musl: the dynamic linker that its ELF header names is musl's. Other installed libraries
 * do not matter: glibc's programs run on Alpine with glibc beside them, and musl's on Debian.
 *
 * @param {string} program
 */
function usesMusl(program) {
  try {
    return interpreter(program).includes('ld-musl-')
  } catch {
    return false
  }
}

const HEADER = 64
const INTERPRETER = 3

/** @param {string} file a 64-bit, little-endian ELF program */
function interpreter(file) {
  const fd = fs.openSync(file, 'r')
  const read = (/** @type {number} */ offset, /** @type {number} */ length) => {
    const buffer = Buffer.alloc(length)
    fs.readSync(fd, buffer, 0, length, offset)
    return buffer
  }
  try {
    const header = read(0, HEADER)
    const [offset, size, count] = [Number(header.readBigUInt64LE(32)), header.readUInt16LE(54), header.readUInt16LE(56)]
    const segments = read(offset, size * count)
    for (let at = 0; at < segments.length; at += size) {
      if (segments.readUInt32LE(at) !== INTERPRETER) continue
      return read(Number(segments.readBigUInt64LE(at + 8)), Number(segments.readBigUInt64LE(at + 32))).toString(
        'latin1',
      )
    }
    return ''
  } finally {
    fs.closeSync(fd)
  }
}

module.exports = { platformName }
