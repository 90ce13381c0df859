// @ts-check
// The processes of the demo: forks them, asks them for work, and sees that none outlives it.
'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')

/** One process, which does one thing at a time. */
class Member {
  #child
  #stderr = ''
  #isKilled = false
  /** @type {{ answer(value: any): void, fail(error: Error): void, progress(value: any): void } | undefined} */
  #asked

  /** @param {import('node:child_process').ChildProcess} child */
  constructor(child) {
    this.#child = child
    // 'close' and not 'exit': by then everything that the process said has been heard.
    this.gone = new Promise((resolve) => child.once('close', resolve).once('error', resolve))
    child.on('message', (message) => this.#receive(message))
    child.on('error', (error) => this.#asked?.fail(error))
    child.on('close', (code, signal) => this.#end(signal ?? `code ${code}`))
    child.stderr?.setEncoding('utf8').on('data', (text) => (this.#stderr = (this.#stderr + text).slice(-2000)))
  }

  get name() {
    return `process ${this.#child.pid}`
  }

  /** The signal that ended the process, if one did. */
  get signal() {
    return this.#child.signalCode
  }

  /**
   * Has the process carry out one of its act's commands.
   *
   * @param {string} command
   * @param {object} [order] the arguments of the command
   * @param {(value: any) => void} [progress]
   * @returns {Promise<any>} its answer; undefined where it was killed first
   */
  ask(command, order = {}, progress) {
    this.#child.send({ command, order })
    return this.#expect(progress)
  }

  ready() {
    return this.#expect()
  }

  /** As `kill -9` does it: no handler runs, no lock is given back. */
  async kill() {
    this.#isKilled = true
    this.#child.kill('SIGKILL')
    await this.gone
  }

  async dismiss() {
    await this.ask('leave')
    await this.gone
  }

  /** Kills the process. Its answer never comes. */
  async abandon() {
    this.#asked = undefined
    await this.kill()
  }

  /**
   * @param {(value: any) => void} [progress]
   * @returns {Promise<any>}
   */
  #expect(progress = () => {}) {
    return new Promise((answer, fail) => {
      this.#asked = { answer, fail, progress }
    })
  }

  /** @param {any} message */
  #receive({ progress, answer, error }) {
    if (progress !== undefined) this.#asked?.progress(progress)
    else if (error !== undefined) this.#asked?.fail(new Error(`${this.name}: ${error}`))
    else this.#asked?.answer(answer)
  }

  /** @param {string} how */
  #end(how) {
    if (this.#isKilled) this.#asked?.answer(undefined)
    else this.#asked?.fail(new Error(`${this.name} ended with ${how}\n${this.#stderr}`))
  }
}

class Crew {
  #url
  /** @type {Set<Member>} */
  #members = new Set()
  #isOver = false

  /** @param {string} url the database's */
  constructor(url) {
    this.#url = url
  }

  /**
   * Starts processes for an act and waits until all of them are connected, so that none has a head start.
   *
   * @param {string} act the name of its file
   * @param {number} count
   * @returns {Promise<Member[]>}
   */
  async start(act, count) {
    if (this.#isOver) throw new Error('the demo is over')
    const members = Array.from({ length: count }, () => this.#fork(act))
    await Promise.all(members.map((member) => member.ready()))
    return members
  }

  /** @param {string} act */
  #fork(act) {
    const child = fork(path.join(__dirname, 'worker.js'), [act], {
      // Not an argument: other users may read those, and there is a password in it.
      env: { ...process.env, DATABASE_URL: this.#url },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    const member = new Member(child)
    this.#members.add(member)
    member.gone.then(() => this.#members.delete(member))
    return member
  }

  /** Ends all processes; none starts any more. */
  async disband() {
    this.#isOver = true
    await Promise.all([...this.#members].map((member) => member.abandon()))
  }
}

module.exports = { Crew }
