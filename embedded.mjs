import embedded from './embedded.js'

export const { startPostgres } = embedded
