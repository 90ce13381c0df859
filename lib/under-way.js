// @ts-check
'use strict'

const { currentContext, isInWork } = require('./work-context.js')

/**
 * @typedef {object} Wait that is given up when the pool is ended
 * @property {import('./work-context.js').Context | undefined} context where it was begun
 * @property {() => void} giveUp
 */

/**
 * The tasks and waits of a pool, beside the calls that native code knows of. The end of the pool waits for the tasks,
 * and ends the waits.
 */
class UnderWay {
  #scope
  #tasks = 0
  /** @type {Set<Wait>} */
  #waits = new Set()
  /** @type {(() => void) | undefined} set while the pool's end waits; called when no task is under way */
  #whenOver

  /** @param {object} scope */
  constructor(scope) {
    this.#scope = scope
  }

  /**
   * The end of the pool waits for this task. It must end soon by itself, as a wait does that is given up, or be work
   * of the application.
   *
   * @template T
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  async during(task) {
    this.begin()
    try {
      return await task()
    } finally {
      this.finish()
    }
  }

  /** As {@link during}, at less cost: a task begins, and {@link finish} must follow. */
  begin() {
    this.#tasks++
  }

  finish() {
    this.#tasks--
    if (this.#whenOver) this.#goOn(this.#whenOver)
  }

  /**
   * Registers a wait that the end of the pool gives up. A wait that is part of work under way is not given up before
   * that work is over.
   *
   * @param {() => void} giveUp may be called more than once
   * @returns {() => void} to be called when the wait is over
   */
  onEnd(giveUp) {
    const wait = { context: currentContext(), giveUp }
    this.#waits.add(wait)
    return () => this.#waits.delete(wait)
  }

  /** The pool is being ended: gives up the waits, and resolves when no task is under way. */
  over() {
    return new Promise((/** @type {(nothing: void) => void} */ resolve) => {
      this.#whenOver = resolve
      this.#goOn(resolve)
    })
  }

  /** @param {() => void} whenOver */
  #goOn(whenOver) {
    for (const { context, giveUp } of this.#waits) if (!isInWork(this.#scope, context)) giveUp()
    if (this.#tasks === 0) whenOver()
  }
}

module.exports = { UnderWay }
