// biome-ignore-all lint/style/useImportType: Nest needs the classes
// An application of Nest as TypeScript users write it. It holds a lock until it is shut down.

import 'reflect-metadata'
import { Controller, Get, Injectable, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus'
import { type Lease, PostgresAdapter, PostgresCacheAdapter } from 'goscope-postgres'
import { GoscopePostgresHealth, GoscopePostgresModule } from 'goscope-postgres/nestjs'

@Injectable()
class Config {
  readonly url = process.env.APP_DATABASE_URL
}

@Module({ providers: [Config], exports: [Config] })
class ConfigModule {}

@Injectable()
class Reports implements OnApplicationBootstrap, OnModuleDestroy {
  private lease?: Lease
  constructor(private readonly adapter: PostgresAdapter) {}

  async onApplicationBootstrap() {
    if (!this.adapter.isConnected()) throw new Error('it is not connected')
    this.lease = await this.adapter.lock('reports', { ttl: 600_000 })
    // The test may hold it.
    const waiting = this.adapter.lock('taken', { ttl: 600_000 })
    waiting.then(
      (lease) => lease.release(),
      (error) => console.log(`refused: ${error.code}`),
    )
  }

  async onModuleDestroy() {
    await this.adapter.set('destroyed', true)
    await this.lease?.release()
  }
}

@Module({ providers: [Reports] })
class ReportsModule {}

@Controller()
class HealthController {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly health: GoscopePostgresHealth,
    private readonly cache: PostgresCacheAdapter,
  ) {}

  @Get('health')
  @HealthCheck()
  check() {
    return this.checks.check([() => this.health.pingCheck('database', { timeout: 5_000 })])
  }

  @Get('visits')
  async visits() {
    return { visits: await this.cache.increment('visits') }
  }
}

@Module({
  imports: [
    GoscopePostgresModule.forRootAsync({
      imports: [ConfigModule],
      inject: [Config],
      useFactory: async (config: Config) => ({
        connection: { connectionString: config.url ?? '', application_name: 'nest', connectionTimeoutMillis: 3_000 },
        keyPrefix: process.env.APP_PREFIX,
        cache: { tableName: 'nest_cache' },
      }),
      isGlobal: true,
    }),
    ReportsModule,
    TerminusModule,
  ],
  controllers: [HealthController],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error'], abortOnError: false })
app.enableShutdownHooks()
await app.listen(0, '127.0.0.1')
console.log(`listening on ${await app.getUrl()}`)
