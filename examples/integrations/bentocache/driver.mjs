// A second layer of bentocache, which all processes share.

/**
 * @param {import('goscope-postgres').PostgresCacheAdapter} cache
 * @param {string} [prefix]
 */
const driverOf = (cache, prefix = '') => ({
  type: 'l2',
  namespace: (name) => driverOf(cache, `${prefix}${name}:`),
  get: async (key) => (await cache.get(prefix + key)) ?? undefined,
  pull: async (key) => (await cache.take(prefix + key)) ?? undefined,
  async set(key, value, ttl) {
    await cache.set(prefix + key, value, ttl)
    return true
  },
  delete: async (key) => (await cache.deleteMany([prefix + key]))[0],
  async deleteMany(keys) {
    await cache.deleteMany(keys.map((key) => prefix + key))
    return true
  },
  clear: () => cache.clear({ prefix }),
  prune: async () => void (await cache.prune()),
  disconnect: () => cache.close(),
})

/** @param {import('goscope-postgres').PostgresCacheAdapter} cache */
export const postgresDriver = (cache) => ({ options: {}, factory: () => driverOf(cache) })
