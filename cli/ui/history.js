// @ts-check
// The states of circuit breakers over the last hour. The server keeps only the present one: what came before is what this
// process has seen while a page was open.
'use strict'

const HOUR_MS = 3_600_000
const MOST_BREAKERS = 5_000
const MOST_CHANGES = 200

/** @typedef {{ at: number, state: string }} Change in ms since 1970, by this machine's clock */

class History {
  /** By stored key. @type {Map<string, Change[]>} */
  #changes = new Map()

  /**
   * @param {{ storedKey: string, state: string, updatedAgoMs: number | null }[]} circuits
   * @param {number} [now]
   */
  record(circuits, now = Date.now()) {
    for (const { storedKey, state, updatedAgoMs } of circuits) {
      const known = this.#changes.get(storedKey) ?? []
      const last = known.at(-1)
      if (last?.state === state) continue
      // No write since then, so it has been in this state at least since then.
      const written = now - Math.max(0, updatedAgoMs ?? 0)
      known.push({ at: Math.max(written, last?.at ?? -Infinity), state })
      // The state before the hour began is still needed.
      while (known.length > MOST_CHANGES || (known[1] !== undefined && known[1].at < now - HOUR_MS)) known.shift()
      this.#changes.delete(storedKey)
      this.#changes.set(storedKey, known)
    }
    for (const key of this.#changes.keys()) {
      if (this.#changes.size <= MOST_BREAKERS) break
      this.#changes.delete(key)
    }
  }

  /**
   * @param {string} storedKey
   * @param {number} [now]
   * @returns {{ agoMs: number, state: string }[]} when each state began, the earliest first
   */
  of(storedKey, now = Date.now()) {
    return (this.#changes.get(storedKey) ?? []).map(({ at, state }) => ({ agoMs: Math.max(0, now - at), state }))
  }
}

module.exports = { HOUR_MS, History }
