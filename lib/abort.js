// @ts-check
// The caller's `AbortSignal`: of Node, of a jsdom window, or of an older polyfill, which has neither `reason` nor
// `throwIfAborted`.
'use strict'

/**
 * @typedef {object} Listener
 * @property {Set<() => void>} callbacks
 * @property {() => void} listen
 */

/** The one listener of each signal. @type {WeakMap<AbortSignal, Listener>} */
const listeners = new WeakMap()

/**
 * Throws the reason if the signal has aborted.
 *
 * @param {AbortSignal | undefined} signal
 */
function throwIfAborted(signal) {
  if (signal?.aborted) throw signal.reason ?? new DOMException('This operation was aborted', 'AbortError')
}

/**
 * Calls back once if the signal aborts. All the callbacks of one signal share one listener: Node 20 warns of a leak
 * when a signal has more than ten.
 *
 * @param {AbortSignal | undefined} signal
 * @param {() => void} callback
 * @returns {() => void} to be called when that is of no interest any more
 */
function onAbort(signal, callback) {
  if (signal === undefined) return () => {}
  const listener = listeners.get(signal) ?? listenTo(signal)
  // The same callback may be passed twice.
  const own = () => callback()
  listener.callbacks.add(own)
  return () => {
    listener.callbacks.delete(own)
    if (listener.callbacks.size === 0) forget(signal, listener)
  }
}

/** @param {AbortSignal} signal */
function listenTo(signal) {
  /** @type {Listener} */
  const listener = {
    callbacks: new Set(),
    listen() {
      forget(signal, listener)
      for (const callback of listener.callbacks) callback()
    },
  }
  listeners.set(signal, listener)
  signal.addEventListener('abort', listener.listen)
  return listener
}

/**
 * @param {AbortSignal} signal
 * @param {Listener} listener
 */
function forget(signal, listener) {
  // Also after it has aborted.
  if (listeners.get(signal) !== listener) return
  listeners.delete(signal)
  signal.removeEventListener('abort', listener.listen)
}

module.exports = { onAbort, throwIfAborted }
