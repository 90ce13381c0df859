// @ts-check
// @configurations first
// How the package appears, through `async_hooks`, to tools that look for what keeps a process alive.
'use strict'

const assert = require('node:assert/strict')
const { createHook } = require('node:async_hooks')
const { test } = require('node:test')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

test('the package is an open handle while a call is in flight, and not before or after', async () => {
  /** @type {any[]} */
  const resources = []
  const hook = createHook({
    init: (_id, type, _trigger, resource) => {
      if (/goscope|threadsafe/i.test(type)) resources.push(resource)
    },
  }).enable()
  const { PostgresAdapter } = require('goscope-postgres')
  hook.disable()
  assert.equal(resources.length, 1)
  const isOpen = () => resources[0].hasRef()

  const adapter = new PostgresAdapter((await database).pool())
  assert.equal(isOpen(), false)
  const connecting = adapter.connect()
  assert.equal(isOpen(), true)
  await connecting
  assert.equal(isOpen(), false)
  const calls = [adapter.get('a'), adapter.get('b')]
  assert.equal(isOpen(), true)
  await Promise.all(calls)
  assert.equal(isOpen(), false)
  await adapter.disconnect()
})
