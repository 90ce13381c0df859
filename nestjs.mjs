import nestjs from './nestjs.js'

export const { GoscopePostgresHealth, GoscopePostgresModule } = nestjs
