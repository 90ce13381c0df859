// Values as they are read back from JSON.

/** Values that JSON can express unchanged. */
type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...given: any) => unknown

/** Values that JSON cannot express: left out of objects, null in arrays. */
type Absent = undefined | symbol | AnyFunction

/** 1 for `any` alone. */
type IsAny<T> = 0 extends 1 & T ? 1 : 0

/**
 * The type of `JSON.parse(JSON.stringify(value))` for a `T`. A `Date` is a string, a `Map` an empty object.
 * `undefined` is left out of objects, and null in arrays. Methods are gone. Of an `Error` only added properties are
 * left. A value that JSON cannot hold at all (`undefined`, a function, a bigint) is `never`: such a value rejects.
 *
 * The type cannot show that NaN and the infinities become null, and that the getters of a class are gone.
 *
 * @category Cache
 */
export type Stored<T> =
  IsAny<T> extends 1
    ? T
    : unknown extends T
      ? unknown
      : T extends Json
        ? T extends readonly unknown[]
          ? StoredArray<T>
          : T
        : T extends Absent | bigint
          ? never
          : T extends { toJSON(...given: never): infer J }
            ? Stored<J>
            : T extends readonly unknown[]
              ? StoredArray<T>
              : T extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | RegExp | ArrayBuffer
                ? Record<string, never>
                : T extends ArrayBufferView
                  ? Record<string, number>
                  : T extends Error
                    ? StoredObject<Omit<T, keyof Error>>
                    : StoredObject<T>

/** A tuple keeps its length. */
type StoredArray<T extends readonly unknown[]> = number extends T['length']
  ? StoredItem<T[number]>[]
  : { -readonly [K in keyof T]: StoredItem<T[K]> }

type StoredItem<T> = IsAny<T> extends 1 ? T : unknown extends T ? unknown : T extends Absent ? null : Stored<T>

type StoredObject<T> = Flat<
  { -readonly [K in KeysOf<T, 'kept'>]: Stored<T[K]> } & {
    -readonly [K in KeysOf<T, 'perhaps'>]?: Stored<Exclude<T[K], Absent>>
  }
>

/**
 * Keys whose values are always there, or perhaps; not the keys of symbols, or of values that JSON always leaves out.
 */
type KeysOf<T, Which> = {
  [K in keyof T]-?: K extends symbol ? never : Presence<T, K> extends Which ? K : never
}[keyof T]

type Presence<T, K extends keyof T> =
  IsAny<T[K]> extends 1
    ? PresenceOf<T, K>
    : unknown extends T[K]
      ? 'perhaps'
      : [T[K]] extends [Absent]
        ? 'never'
        : Extract<T[K], Absent> extends never
          ? PresenceOf<T, K>
          : 'perhaps'

type PresenceOf<T, K extends keyof T> = Record<never, never> extends Pick<T, K> ? 'perhaps' : 'kept'

type Flat<T> = { [K in keyof T]: T[K] }

/**
 * The result of `run`: the result as it is remembered, null for `undefined`. A failed Result of go-go-scope,
 * `[Error, undefined]`, is not remembered, and is returned as it is.
 *
 * @category Idempotency
 */
export type RunResult<T> =
  IsAny<T> extends 1
    ? T
    : unknown extends T
      ? unknown
      : // biome-ignore lint/suspicious/noConfusingVoidType: what a function without a result returns
        T extends undefined | void
        ? null
        : T extends readonly [infer E, infer V]
          ? ResultOf<T, E, V>
          : Stored<T>

type ResultOf<T, E, V> = undefined extends V
  ? Extract<E, Error> extends never
    ? Stored<T>
    : readonly [Extract<E, Error>, undefined] | Stored<[Exclude<E, Error>, V]>
  : Stored<T>
