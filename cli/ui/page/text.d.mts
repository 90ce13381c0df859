// The server makes this module of cli/text.js.
export { visible } from '../../text.js'
