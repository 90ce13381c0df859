import keyv from './keyv.js'

export const { KeyvStore } = keyv
