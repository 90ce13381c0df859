// @ts-check
// Every known difference between the pg-based adapters and this package, and the only ones that the differential test
// allows. The table in docs/from-pg-adapter.md is this list, word for word. Each entry is found by the random sequences
// or shown by a scenario; the test fails if one is not.
'use strict'

/**
 * @typedef {object} Difference
 * @property {string} id
 * @property {string} difference what is different here
 * @property {string} reason
 * @property {string} promise the contract's words for it, as they stand in a page of docs/ or in index.d.ts
 */

/**
 * Where one operation shows several, those that stand first are looked for first.
 *
 * @type {Difference[]}
 */
const differences = [
  // Locks
  {
    id: 'one-clock',
    difference: "the server's clock decides who holds a lock and what has expired",
    reason: 'a process whose clock ran ahead took locks that others held',
    promise: "The server's clock alone decides who holds a lock and what has expired.",
  },
  {
    id: 'time-zones',
    difference: '`TIMESTAMP` columns are read and written in UTC, in every zone of server, session and process',
    reason: 'outside UTC, rows expired hours early or late',
    promise: 'Time zones of server, session and process do not matter: `TIMESTAMP` columns hold UTC.',
  },
  {
    id: 'atomic-acquire',
    difference: '`acquire` is one atomic statement',
    reason: 'of two racing for a free lock, one got 23505 instead of `null`',
    promise: 'A lease if no owner holds the lock, if the last lease has expired, or if `owner` holds it already',
  },
  {
    id: 'locked-rows',
    difference: '`acquire` skips expired locks whose rows are locked',
    reason: "it waited for other applications' transactions",
    promise: 'Otherwise `null`, at once. One round trip.',
  },
  {
    id: 'expired-locks',
    difference:
      'an `acquire` that gets `null` removes no expired locks; one that gets the lock removes a bounded number',
    reason: 'a poll of a busy lock writes nothing',
    promise: 'a poll of a busy lock writes nothing.',
  },
  {
    id: 'default-owner',
    difference: 'if no owner is given, a UUIDv4 is generated',
    reason: 'the owner was a time with `Math.random()`, and may collide',
    promise: 'a UUIDv4 is drawn where it is absent',
  },
  {
    id: 'numeric-owner',
    difference: 'an owner given as a number can take its lock again, and its handle is valid',
    reason: 'the number was compared with the text that came back',
    promise: 'A number or bigint given to plain JavaScript is taken as its decimal text.',
  },
  {
    id: 'default-lock-ttl',
    difference: '`defaultLockTTL` is honoured',
    reason: 'it is documented',
    promise: 'for lock calls without a `ttl`',
  },

  // Arguments
  {
    id: 'bad-arguments',
    difference:
      'bad arguments reject with `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` or `ERR_INVALID_ARG_VALUE`; bad are a negative or NaN TTL, an unknown state, and `cleanup` without a count',
    reason: 'they failed in the server, or were stored; `cleanup` without a count deleted everything',
    promise: 'Bad arguments: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`, naming the argument.',
  },
  {
    id: 'any-key',
    difference:
      'a key that fits no index row or column, and one with lone surrogates, is stored under a digest; new key columns are `TEXT`',
    reason: 'long keys failed with 54000 or 22001; all lone surrogates were one key',
    promise: 'Any string without U+0000 is a key.',
  },

  // Circuit breakers
  {
    id: 'atomic-failures',
    difference: '`recordFailure` is one atomic statement',
    reason: 'of failures at the same time, all but one were lost',
    promise: 'One atomic count: N concurrent calls return N distinct numbers.',
  },
  {
    id: 'full-count',
    difference: 'a failure count of 2147483647 stays at that',
    reason: 'one more failed with 22003, for ever',
    promise: 'The count stops at 2147483647.',
  },
  {
    id: 'zero-times',
    difference: '`setState` keeps a time of 0',
    reason: 'a state comes back as it was stored',
    promise: 'absent stays absent, 0 stays 0',
  },
  {
    id: 'far-times',
    difference: '`setState` takes times before the year 0 and after 9999',
    reason: 'PostgreSQL could not read the form in which they were sent',
    promise: "a time is out of PostgreSQL's or JavaScript's range",
  },

  // Entries
  {
    id: 'long-ttl',
    difference: 'a TTL of `Infinity` means no expiry, and one that ends after the year 9999 is kept',
    reason: '`Infinity` threw, and PostgreSQL could not read the other',
    promise: '`ttl` absent, 0 or `Infinity`: no expiry.',
  },
  {
    id: 'expired-entries',
    difference: '`set` removes expired entries of other keys, some hundred at a time',
    reason: 'what had expired stayed in the table for ever',
    promise: 'expired rows are removed by later writes, a bounded number at a time.',
  },
  {
    id: 'accessed-at',
    difference: '`accessed_at` is the time of the last `set`, in every cache',
    reason: 'a read costs one round trip and no write',
    promise: 'Reads write nothing.',
  },
  {
    id: 'literal-prefix',
    difference: '`_`, `%` and `\\` in a `keyPrefix` mean themselves',
    reason: "`_` matched other prefixes' keys, and `clear` removed them",
    promise: '**Prefixes are data.** `_`, `%` and `\\` in a `keyPrefix` mean themselves.',
  },
  {
    id: 'keys-as-given',
    difference:
      '`keys` of a `PostgresAdapter` without a `keyPrefix` lists and compares keys without `cache:`, and omits the keys of other prefixes',
    reason: 'keys come back as they were given',
    promise: 'Keys as you gave them.',
  },
  {
    id: 'star-pattern',
    difference: '`keys` of a `PostgresCacheAdapter`: only `*` is a wildcard',
    reason: 'keys contain `_`',
    promise: '`PostgresCacheAdapter`: `*` is any text.',
  },
  {
    id: 'stats-and-prune',
    difference: '`stats` counts hits and misses; `stats` and `prune` keep to the `keyPrefix`',
    reason: "another prefix's entries are not this cache's",
    promise: "This instance's hits and misses, and the live entries under its prefix; removes the expired ones.",
  },
  {
    id: 'failed-result',
    difference: 'a failed Result, `[Error, undefined]`, is not stored, and removes an older entry',
    reason: 'JSON made it `[{}, null]`, and a failure was replayed as a success',
    promise: 'A failed Result, `[Error, undefined]`, is not stored and removes an older entry.',
  },

  // Checkpoints
  {
    id: 'absent-fields',
    difference:
      'an absent field of a state, checkpoint or result is no property; it was a property that is `undefined`',
    reason: 'it comes back as it was stored',
    promise: 'Absent stays absent, 0 stays 0.',
  },
  {
    id: 'sequence-is-a-number',
    difference: "a checkpoint's `sequence` comes back as a number",
    reason: 'pg reads a `BIGINT` as text',
    promise: "The checkpoint's place within its task; a safe integer.",
  },
  {
    id: 'zero-estimate',
    difference: 'an `estimatedTimeRemaining` of 0 comes back as 0 from an `INTEGER` column, too',
    reason: 'it came back as `undefined`',
    promise: 'In ms; a safe integer. Absent stays absent, 0 stays 0.',
  },
  {
    id: 'save-replaces',
    difference: '`save` under an id that exists replaces task, sequence and timestamp, too',
    reason: 'a checkpoint comes back as it was saved',
    promise: 'if its id exists already, every field is replaced.',
  },
  {
    id: 'equal-sequences',
    difference: 'checkpoints of equal sequence are ordered by `timestamp`',
    reason: 'any of them could be the latest',
    promise: 'highest sequence, then timestamp',
  },
  {
    id: 'checkpoint-prefix',
    difference: 'the `keyPrefix` applies to checkpoints: ids and tasks are stored behind it',
    reason: "two applications with prefixes of their own overwrote each other's",
    promise: 'stands before everything that is stored, checkpoints included',
  },
  {
    id: 'checkpoints-table',
    difference: '`connect` makes `go_goscope_checkpoints`, too',
    reason: 'it is documented, and checkpoints need it',
    promise: 'Makes what is missing of the four tables and their indexes, and nothing else.',
  },

  // Life cycle
  {
    id: 'first-use',
    difference: 'a method that is used before `connect` makes its table',
    reason: 'without `connect` it failed with 42P01',
    promise: 'A method used before it makes its own table on first need.',
  },
  {
    id: 'foreign-tables',
    difference:
      'a pool of a superuser does not use a table of a role that is not one and owns neither the schema nor the database',
    reason: "that role's triggers would run with a superuser's rights",
    promise: "Its triggers would run with a superuser's rights, so it is not used",
  },
  {
    id: 'no-needless-ddl',
    difference: 'if everything exists, `connect` needs no DDL rights and issues no DDL',
    reason: 'start-up must not depend on rights that the work does not need',
    promise: 'Needs no DDL rights where they exist',
  },
  {
    id: 'create-tables',
    difference: '`createTables: false` is honoured',
    reason: 'it is documented',
    promise: '`false`: creates nothing; a call on a missing table rejects with 42P01',
  },
  {
    id: 'index-names',
    difference: 'the server names the indexes of `PostgresCacheAdapter` tables',
    reason: 'the table `cache` got none: the name was taken by an index of another table',
    promise: 'Makes the table and its index where they are missing',
  },
  {
    id: 'table-names',
    difference:
      '`tableName` is `name` or `schema.name`, and quoted; an existing table under the lower-case name is found',
    reason: 'a name is not SQL',
    promise: '`name` or `schema.name`, quoted, never SQL',
  },
  {
    id: 'is-connected',
    difference: '`isConnected` follows `connect` and `disconnect`',
    reason: 'idle connections close, and it said `false`',
    promise: "True from a successful {@link connect} to {@link close}, {@link disconnect} or the pool's end.",
  },
  {
    id: 'disconnect-twice',
    difference: 'a second `disconnect` resolves',
    reason: 'adapters share a pool, and each may call `disconnect`',
    promise:
      'Waits for the calls under way, and for work that `run()` and `getOrSet()` have begun, closes the connections, ends the `Pool`, with all adapters on it. Twice is fine.',
  },

  // Connections
  {
    id: 'own-connections',
    difference:
      "calls go over native connections, not the pool's: up to `max` more, which no event of the pool reports. The pool is not queried, nor is a wrapped pool or a `pg.Client`: their configuration is read",
    reason: 'calls share statements and round trips',
    promise: 'Its connections are in addition to those that the `Pool` opens for your queries.',
  },
  {
    id: 'type-parsers',
    difference: "`pg`'s type parsers are not used",
    reason: 'a value comes back as `JSON.parse` gives it, whatever parsers the application sets',
    promise: 'It comes back as `JSON.parse(JSON.stringify(value))` would give it',
  },
  {
    id: 'hook-client',
    difference:
      "connect hooks get a client of the native connection: it can be read as one of `pg`, has `query`, events and escaping, and gives values as the server's text; what an asynchronous hook does is waited for",
    reason: 'the session is set up on the connection that calls use',
    promise: 'A new connection, as connect hooks see it',
  },
  {
    id: 'refused-options',
    difference: 'a `stream`, a `connection`, `replication` and some options of `ssl` are refused by name',
    reason: 'they belong to the sockets and the OpenSSL of Node',
    promise: 'are refused by name',
  },
  {
    id: 'lock-provider',
    difference: "`adapter.lock` is a lock provider, as in go-go-scope's documentation, and also a method",
    reason:
      'it was `undefined`, and a `Lock` with `provider: s.persistence?.lock` then locked within its own process only',
    promise: 'It is also the lock provider that go-go-scope takes',
  },
  {
    id: 'call-order',
    difference: 'calls on one key through one `Pool` take effect in the order of the calls, awaited or not',
    reason: 'each went over whatever connection was free',
    promise: 'Calls on one key through one `Pool` take effect in the order in which they were made, awaited or not.',
  },
  {
    id: 'lost-connections',
    difference: 'a call that may be repeated is retried after the loss of its connection',
    reason: 'a release that rejects leaves the lock until its TTL is over',
    promise: '**A call gives a right answer or rejects,**',
  },
]

module.exports = { differences }
