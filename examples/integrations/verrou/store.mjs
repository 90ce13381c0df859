// A store of locks for verrou.

/** Longer than any process lives, for locks without an end. */
const TEN_YEARS = 10 * 365 * 24 * 3_600_000

const notOwned = (key) =>
  Object.assign(new Error(`The lock ${key} is held by another owner`), { code: 'E_LOCK_NOT_OWNED' })

/** @param {import('goscope-postgres').PostgresAdapter} adapter */
export const storeOn = (adapter) => ({
  save: async (key, owner, ttl) => (await adapter.acquire(key, ttl ?? TEN_YEARS, owner, { reentrant: false })) !== null,
  async delete(key, owner) {
    if (!(await adapter.release(key, owner))) throw notOwned(key)
  },
  forceDelete: (key) => adapter.forceRelease(key),
  exists: async (key) => (await adapter.holder(key)) !== null,
  async extend(key, owner, duration) {
    if (!(await adapter.extend(key, duration, owner))) throw notOwned(key)
  },
  disconnect: () => adapter.close(),
})
