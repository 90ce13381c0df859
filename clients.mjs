import clients from './clients.js'

export const { fromDrizzle, fromKnex, fromKysely, fromPostgresJs, fromPrisma, fromTypeORM } = clients
