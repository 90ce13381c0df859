// @ts-check
// A module of Nest, as the object that Nest's decorators and functions would make. So it needs nothing of Nest, and works with
// each of its versions.
'use strict'

const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('../../index.js')
const args = require('../arguments.js')
const { Connections } = require('./connections.js')
const { GoscopePostgresHealth } = require('./health.js')

let modules = 0

/** See nestjs.d.ts for what it promises. */
// biome-ignore lint/complexity/noStaticOnlyClass: what Nest takes
class GoscopePostgresModule {
  /** @param {unknown} [given] */
  static forRoot(given) {
    const { isGlobal, ...options } = given == null ? {} : args.object('options', given)
    return moduleOf(() => options, { isGlobal })
  }

  /** @param {unknown} options */
  static forRootAsync(options) {
    const { imports, inject, useFactory, isGlobal } = args.object('options', options)
    return moduleOf(args.callback('options.useFactory', useFactory), { imports, inject, isGlobal })
  }
}

/**
 * @param {(...injected: any[]) => unknown} useFactory of the options
 * @param {{ imports?: any[], inject?: any[], isGlobal?: boolean }} about
 */
function moduleOf(useFactory, { imports = [], inject = [], isGlobal = false }) {
  // Older versions of Nest take modules with equal providers for the same module, and compare functions by their text.
  const options = Symbol(`options of GoscopePostgresModule ${++modules}`)
  /** @type {(provide: unknown, of: (connections: Connections) => unknown) => any} */
  const provider = (provide, of) => ({ provide, useFactory: of, inject: [Connections] })
  return {
    module: GoscopePostgresModule,
    global: isGlobal,
    imports,
    providers: [
      { provide: options, useFactory, inject },
      { provide: Connections, useFactory: (/** @type {unknown} */ given) => new Connections(given), inject: [options] },
      provider(PostgresAdapter, ({ adapter }) => adapter),
      provider(PostgresCacheAdapter, ({ cache }) => cache),
      provider(PostgresIdempotencyAdapter, ({ results }) => results),
      provider(GoscopePostgresHealth, ({ adapter }) => new GoscopePostgresHealth(adapter)),
    ],
    exports: [PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter, GoscopePostgresHealth],
  }
}

module.exports = { GoscopePostgresModule }
