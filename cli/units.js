// @ts-check
// Lengths of time, sizes and counts in a form for people, and times in a form for programs.
'use strict'

/** @type {[unit: string, ms: number][]} */
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
]

/**
 * The two largest units that matter: `3 h 5 min`, `12 s`, `0.4 s`.
 *
 * @param {unknown} ms
 */
function duration(ms) {
  if (typeof ms !== 'number' || !Number.isFinite(ms)) return '–'
  const sign = ms < 0 ? '-' : ''
  const length = Math.abs(ms)
  if (length < 10_000) return `${sign}${(Math.floor(length / 100) / 10).toFixed(1)} s`
  const at = UNITS.findIndex(([, size]) => length >= size)
  const [unit, size] = UNITS[at]
  const whole = Math.floor(length / size)
  const next = UNITS[at + 1]
  const rest = next === undefined ? 0 : Math.floor((length % size) / next[1])
  return `${sign}${count(whole)} ${unit}${rest > 0 ? ` ${rest} ${next[0]}` : ''}`
}

/** @param {unknown} ms */
const ago = (ms) => (typeof ms === 'number' && ms < 0 ? `in ${duration(-ms)}` : duration(ms))

/** `3 h ago`, `in 5 min`, or a dash for a time that is not known. @param {number | null} ms since then */
const past = (ms) => (ms === null ? '–' : ms < 0 ? ago(ms) : `${ago(ms)} ago`)

/** @param {unknown} bytes */
function size(bytes) {
  if (typeof bytes !== 'number') return '–'
  let [value, at] = [bytes, 0]
  while (value >= 1024 && at < SIZES.length - 1) [value, at] = [value / 1024, at + 1]
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${SIZES[at]}`
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** To a tenth. Near the largest of all numbers a tenth more is infinite. @param {number} value */
const percent = (value) => `${Number.isFinite(value * 10) ? Math.round(value * 10) / 10 : value} %`

/** @param {unknown} number */
const count = (number) => (typeof number === 'number' ? number.toLocaleString('en-US') : '–')

/**
 * `1 lock`, `2 locks`.
 *
 * @param {number} number
 * @param {string} noun
 */
const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`

/**
 * In the form that the documentation promises to programs: ISO 8601 in UTC, null for a value that is no time, or that
 * a Date cannot hold.
 *
 * @param {unknown} ms
 */
const iso = (ms) => (typeof ms === 'number' && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null)

/** @param {unknown} ms whole ones */
const whole = (ms) => (typeof ms === 'number' && Number.isFinite(ms) ? Math.round(ms) : null)

module.exports = { ago, count, counted, duration, iso, past, percent, size, whole }
