// Compiled against the types of the libraries, never run. Each `@ts-expect-error` fails the compilation if the line
// beneath it is accepted.

import { PrismaPg } from '@prisma/adapter-pg'
import { PostgresAdapter } from 'goscope-postgres'
import { fromPrisma } from 'goscope-postgres/clients'
import { Pool } from 'pg'
import { PrismaClient } from './generated/index.js'

const adapter = new PostgresAdapter(new Pool())
const prisma = new PrismaClient({ adapter: new PrismaPg({}) })

export const accepted = prisma.$transaction((tx) => adapter.within(fromPrisma(tx)).clear())
export const typed = prisma.$transaction((tx) => fromPrisma(tx).transaction.effect.count())

// @ts-expect-error each query of a whole client may run on another connection
fromPrisma(prisma)
