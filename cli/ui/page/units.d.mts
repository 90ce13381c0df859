// The server makes this module of cli/units.js.
export { ago, count, counted, duration, percent, size } from '../../units.js'
