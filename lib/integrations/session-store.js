// @ts-check
// A store of express-session. Its methods have callbacks, as express-session calls them.
'use strict'

const { nextTick } = require('node:process')
const args = require('../arguments.js')
const { wallClock } = require('../clock.js')
const { optionsOf } = require('../options.js')
const { cacheOf, madeFor, prefixOf } = require('./cache-of.js')
const { isRefusedByJsonb } = require('./jsonb.js')

const TABLE = 'go_goscope_sessions'
const PREFIX = 'sess:'
const DAY_MS = 86_400_000
const PAGE_SIZE = 1_000

/** An entry's end that differs by less from the cookie's is that of the same write: the time until the server got it. */
const SAME_END_MS = 50

/** How often a changed cookie is stored anew, if another request stores the session at the same time. */
const COOKIE_TRIES = 8

/** An age that differs by less was not changed by the application: express-session computes it anew, from a clock that went on. */
const SAME_AGE_MS = 1_000

/**
 * @typedef {{ [name: string]: any, cookie?: any }} Session as it is stored
 * @typedef {((error?: any, result?: any) => void) | undefined} Callback
 */

/** @param {new () => any} Store the base class of express-session, which makes sessions of what is stored */
function sessionStoreOn(Store) {
  return class SessionStore extends Store {
    #cache
    #close
    #prefix
    #ttl
    /** The cookies of sessions, as they were stored. @type {WeakMap<object, any>} */
    #cookies = new WeakMap()

    /**
     * @param {unknown} [source]
     * @param {unknown} [options]
     */
    constructor(source, options) {
      super()
      const given = optionsOf(options, 'SessionStore')
      const { cache, close } = cacheOf(source, given, TABLE)
      this.#cache = cache
      this.#close = close
      this.#prefix = prefixOf(given, PREFIX)
      this.#ttl = args.positiveTime('options.ttl', given.ttl ?? DAY_MS)
    }

    /** @param {string} sid @param {Callback} callback */
    get(sid, callback) {
      this.#call(callback, async () => {
        const entry = await this.#cache.getEntry(this.#prefix + sid)
        return entry && withEnd(decoded(entry.value), entry.expiresAt)
      })
    }

    /** @param {string} sid @param {Session} session @param {Callback} [callback] */
    set(sid, session, callback) {
      this.#call(callback, async () => {
        const ttl = this.#ttlOf(session)
        if (ttl <= 0) await this.#cache.delete(this.#prefix + sid)
        else await this.#cache.set(this.#prefix + sid, encoded(this.#cache, session), ttl)
      })
    }

    /** @param {string} sid @param {Callback} [callback] */
    destroy(sid, callback) {
      this.#call(callback, () => this.#cache.delete(this.#prefix + sid))
    }

    /**
     * A session that was destroyed meanwhile stays destroyed.
     *
     * @param {string} sid
     * @param {Session} session
     * @param {Callback} [callback]
     */
    touch(sid, session, callback) {
      this.#call(callback, async () => {
        const ttl = this.#ttlOf(session)
        const read = this.#cookies.get(session)
        if (ttl <= 0) await this.#cache.delete(this.#prefix + sid)
        else if (read && isChanged(read, plain(session.cookie)))
          await this.#replaceCookie(this.#prefix + sid, session.cookie, ttl)
        else await this.#cache.touch(this.#prefix + sid, ttl)
      })
    }

    /**
     * The rest of the session is left as it is, whatever another request stores meanwhile.
     *
     * @param {string} key
     * @param {object} cookie
     * @param {number} ttl
     */
    async #replaceCookie(key, cookie, ttl) {
      for (let tries = 0; tries < COOKIE_TRIES; tries++) {
        const stored = await this.#cache.get(key)
        if (stored === null) return
        const changed = encoded(this.#cache, { ...decoded(stored), cookie })
        if (await this.#cache.compareAndSet(key, stored, changed, ttl)) return
      }
      // Others store it all the time, and have its newest cookie; or it holds a number that JavaScript cannot.
      await this.#cache.touch(key, ttl)
    }

    /** @param {Callback} callback */
    all(callback) {
      this.#call(callback, async () => {
        const sessions = []
        for await (const names of this.#pages()) {
          const values = await this.#cache.getMany(names)
          for (const [index, name] of names.entries()) {
            const value = values[index]
            // Destroyed or expired since its key was read.
            if (value != null) sessions.push({ ...decoded(value), id: name.slice(this.#prefix.length) })
          }
        }
        return sessions
      })
    }

    /** @param {Callback} callback */
    length(callback) {
      this.#call(callback, async () => {
        let count = 0
        for await (const names of this.#pages()) count += names.length
        return count
      })
    }

    /** @param {Callback} [callback] */
    clear(callback) {
      this.#call(callback, () => this.#cache.clear({ prefix: this.#prefix }))
    }

    /**
     * Called by express-session with what `get` has returned.
     *
     * @param {object} request
     * @param {Session} stored
     */
    createSession(request, stored) {
      const cookie = plain(stored.cookie)
      const session = super.createSession(request, stored)
      this.#cookies.set(session, cookie)
      return session
    }

    /** Ends what the store has opened, and nothing that was given. */
    async close() {
      await this.#close()
    }

    async *#pages() {
      /** @type {string | undefined} */
      let after
      for (;;) {
        const names = await this.#cache.keys({ prefix: this.#prefix, limit: PAGE_SIZE, after })
        yield names
        if (names.length < PAGE_SIZE) return
        after = names.at(-1)
      }
    }

    /** @param {Session} session @returns {number} in ms; 0 or less if it has ended */
    #ttlOf({ cookie }) {
      return cookie?.expires ? timeOf(cookie.expires) - wallClock() : this.#ttl
    }

    /**
     * @param {Callback} callback
     * @param {() => Promise<unknown>} work
     */
    #call(callback, work) {
      const report = callback ?? ((/** @type {any} */ error) => error && this.#failed(error))
      const call = (/** @type {any[]} */ ...outcome) => {
        try {
          report(...outcome)
        } catch (thrown) {
          // By the callback. It is no rejection of a promise that the application has never seen.
          nextTick(() => {
            throw thrown
          })
        }
      }
      work().then((result) => call(null, result), call)
    }

    /** Of a call without a callback. @param {Error} error */
    #failed(error) {
      if (this.listenerCount('error') > 0) this.emit('error', error)
      else process.emitWarning(error)
    }
  }
}

/**
 * The end of the cookie follows `touch`, which stores no more than the entry's end. With an older one, a session that is saved
 * before the response ends would have ended already.
 *
 * @param {Session} session
 * @param {number | undefined} expiresAt
 */
function withEnd(session, expiresAt) {
  const { cookie } = session
  if (expiresAt === undefined || !cookie?.expires) return session
  const isSame = Math.abs(timeOf(cookie.expires) - expiresAt) < SAME_END_MS
  // biome-ignore lint/style/noRestrictedGlobals: a conversion, which does not read the clock
  return isSame ? session : { ...session, cookie: { ...cookie, expires: new Date(expiresAt).toISOString() } }
}

/** @param {string | Date} date */
// biome-ignore lint/style/noRestrictedGlobals: a conversion, which does not read the clock
const timeOf = (date) => new Date(date).getTime()

/**
 * Whether the application has changed a cookie, apart from its end.
 *
 * @param {any} before
 * @param {any} now
 */
function isChanged(before, now) {
  const [one, other] = [before, now].map((cookie) => {
    const { expires, originalMaxAge, ...rest } = cookie ?? {}
    return { age: originalMaxAge ?? Infinity, rest: JSON.stringify(Object.entries(rest).filter(isGiven).sort()) }
  })
  const isOfSameAge = one.age === other.age || Math.abs(one.age - other.age) < SAME_AGE_MS
  return one.rest !== other.rest || !isOfSameAge
}

/** A cookie as it is stored. @param {any} cookie */
const plain = (cookie) => cookie?.toJSON?.() ?? cookie

/** @param {[string, unknown]} entry */
const isGiven = ([, value]) => value != null

/** @param {any} cache @param {Session} session @returns {unknown} the session, or its JSON as text if JSONB cannot hold the session */
function encoded(cache, session) {
  const json = args.json('session', session)
  return isRefusedByJsonb(json) ? json : madeFor(cache, session, json)
}

/** @param {any} stored @returns {Session} */
const decoded = (stored) => (typeof stored === 'string' ? JSON.parse(stored) : stored)

module.exports = { sessionStoreOn }
