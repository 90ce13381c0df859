// @ts-check
// Redis through ioredis, on one connection as is usual: its commands do not wait for each other's answers. Values are
// JSON text. What takes more than one command is a script, so that each call is one round trip and atomic.
'use strict'

const { Redis } = require('ioredis')
const { HOLDER, KEYS, TTL, VALUE, checkpoint, checkpoints, keyName } = require('../operations.js')

/** ARGV: the owner, without whose token the lock stays. */
const RELEASE = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
  return 0`

/** ARGV: the most failures. */
const RECORD_FAILURE = `
  local count = redis.call('HINCRBY', KEYS[1], 'failureCount', 1)
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'lastFailureTime', now[1] * 1000 + math.floor(now[2] / 1000))
  if count >= tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'state', 'open')
  else redis.call('HSETNX', KEYS[1], 'state', 'closed') end
  return count`

/** KEYS: the checkpoint, and its task's checkpoints by sequence. ARGV: the checkpoint, its sequence and id. */
const SAVE = `
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])`

/** KEYS: the task's checkpoints by sequence. ARGV: what the names of checkpoints begin with. */
const LOAD_LATEST = `
  local last = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]
  return last and redis.call('GET', ARGV[1] .. last)`

const cacheKey = (/** @type {number} */ key) => `cache:${keyName(key)}`

/**
 * @param {string} url
 * @param {import('ioredis').RedisOptions} [options]
 */
async function open(url, options = {}) {
  /** @type {any} */
  const redis = new Redis(url, { ...options, lazyConnect: true, maxRetriesPerRequest: 0 })
  redis.on('error', () => {})
  redis.defineCommand('release', { numberOfKeys: 1, lua: RELEASE })
  redis.defineCommand('recordFailure', { numberOfKeys: 1, lua: RECORD_FAILURE })
  redis.defineCommand('saveCheckpoint', { numberOfKeys: 2, lua: SAVE })
  redis.defineCommand('loadLatest', { numberOfKeys: 1, lua: LOAD_LATEST })
  await redis.connect()

  const set = (/** @type {string} */ name) => redis.set(name, JSON.stringify(VALUE), 'PX', TTL)
  const acquire = (/** @type {string} */ name, /** @type {string} */ owner) => redis.set(name, owner, 'PX', TTL, 'NX')
  const save = (/** @type {ReturnType<typeof checkpoint>} */ saved) => {
    const { id, taskId, sequence } = saved
    return redis.saveCheckpoint(`checkpoint:${id}`, `checkpoints:${taskId}`, JSON.stringify(saved), sequence, id)
  }
  return {
    calls: {
      get: async (/** @type {number} */ key) => JSON.parse(await redis.get(cacheKey(key))),
      has: async (/** @type {number} */ key) => (await redis.exists(cacheKey(key))) === 1,
      loadLatest: async (/** @type {number} */ key) =>
        JSON.parse(await redis.loadLatest(`checkpoints:${keyName(key)}`, 'checkpoint:')),
      set: (/** @type {number} */ key) => set(cacheKey(key)),
      delete: async (/** @type {number} */ key) => {
        await set(`cache:deleted:${keyName(key)}`)
        await redis.del(`cache:deleted:${keyName(key)}`)
      },
      increment: (/** @type {number} */ key) => redis.incrby(`cache:count:${keyName(key)}`, 1),
      save: (/** @type {number} */ key) => save(checkpoint(key)),
      lock: async (/** @type {number} */ key) => {
        const [name, owner] = [`lock:${keyName(key)}`, crypto.randomUUID()]
        if (!(await acquire(name, owner))) throw new Error(`${name} is held`)
        await redis.release(name, owner)
      },
      recordFailure: (/** @type {number} */ key) => redis.recordFailure(`circuit:${keyName(key)}`, 1e9),
      poll: (/** @type {number} */ key) => acquire(`lock:busy:${keyName(key)}`, crypto.randomUUID()),
    },
    async fill() {
      const keys = Array.from({ length: KEYS }, (_, key) => key)
      await Promise.all(keys.map((key) => set(cacheKey(key))))
      await Promise.all(keys.map((key) => acquire(`lock:busy:${keyName(key)}`, HOLDER)))
      await Promise.all(Array.from(checkpoints(), save))
    },
    close: () => redis.quit(),
  }
}

const versions = () => ({ ioredis: require('ioredis/package.json').version })

module.exports = { open, versions }
