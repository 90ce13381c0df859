// Compiled, never run: `getOrSet` and `run` are typed as what comes back, and `Stored` is what JSON makes of a type.

import type {
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
  RunResult,
  Stored,
} from 'goscope-postgres'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles for `true` alone. */
type Expect<T extends true> = T

declare const adapter: PostgresAdapter
declare const cache: PostgresCacheAdapter
declare const results: PostgresIdempotencyAdapter

interface User {
  name: string
  born: Date
  nick?: string
  tags: Set<string>
  parent: User | undefined
  greet(): string
}

class Money {
  readonly cents = 1
  #secret = 2
  toJSON() {
    return { cents: this.cents, at: new Date(this.#secret) }
  }
}

interface Tree {
  value: number
  children: Tree[]
}

type Value = null | boolean | string | Value[] | { [key: string]: Value }

export type OfTypes = [
  Expect<Equal<Stored<Date>, string>>,
  Expect<Equal<Stored<'a' | 1 | null | true>, 'a' | 1 | null | true>>,
  Expect<Equal<Stored<Map<string, number>>, Record<string, never>>>,
  Expect<
    Equal<Stored<{ error: Error; bytes: Uint8Array }>, { error: Record<never, never>; bytes: Record<string, number> }>
  >,
  Expect<Equal<Stored<Error & { status: number }>, { status: number }>>,
  Expect<Equal<Stored<[Date, undefined, number?]>, [string, null, (number | null)?]>>,
  Expect<Equal<Stored<readonly Date[]>, string[]>>,
  Expect<Equal<Stored<(string | undefined)[]>, (string | null)[]>>,
  Expect<Equal<Stored<undefined | bigint | symbol | (() => void)>, never>>,
  Expect<
    Equal<Stored<{ a: Date; b?: Date; c: undefined; d: number | undefined }>, { a: string; b?: string; d?: number }>
  >,
  Expect<Equal<Stored<Money>, { cents: number; at: string }>>,
  Expect<Equal<Stored<unknown>, unknown>>,
  // biome-ignore lint/suspicious/noExplicitAny: what is untyped stays untyped
  Expect<Equal<Stored<any>, any>>,
  Expect<Equal<Stored<Value>, Value>>,
  Expect<Equal<Stored<Tree>['children'][0]['children'][0]['value'], number>>,
  Expect<Equal<Stored<User>['born'], string>>,
  Expect<Equal<Stored<User>['nick'], string | undefined>>,
  Expect<Equal<keyof Stored<User>, 'name' | 'born' | 'nick' | 'tags' | 'parent'>>,
  Expect<Equal<RunResult<void>, null>>,
  Expect<Equal<RunResult<Date | undefined>, string | null>>,
  Expect<
    Equal<
      RunResult<readonly [Error | undefined, Date | undefined]>,
      readonly [Error, undefined] | [null, string | null]
    >
  >,
  Expect<Equal<RunResult<[undefined, Date]>, [null, string]>>,
]

export async function whatComesBack() {
  const computed = await cache.getOrSet('key', async () => ({ at: new Date(), by: 'me', rest: undefined }))
  const date = await adapter.getOrSet('key', () => new Date())
  const nothing = await results.run('key', () => {})
  const ran = await results.run('key', async () => ({ at: new Date() }))
  const plain = await results.run<{ n: number; s?: string }>('key', () => ({ n: 1 }))
  const same: { n: number; s?: string } = plain
  // @ts-expect-error a Date comes back as a string
  computed.at.getTime()
  // @ts-expect-error what is undefined does not come back
  computed.rest
  // @ts-expect-error a Date comes back as a string
  ran.at.getTime()
  return [same, ran] as unknown as [
    Expect<Equal<typeof computed, { at: string; by: string }>>,
    Expect<Equal<typeof date, string>>,
    Expect<Equal<typeof nothing, null>>,
    Expect<Equal<typeof ran, { at: string }>>,
  ]
}

/** A value that is JSON already is taken where its own type is wanted. */
export const tree: (value: Tree) => Promise<Tree> = (value) => cache.getOrSet('tree', () => value)
