// node:test's own fake timers.
'use strict'

const { mock, test } = require('node:test')
const { everyCall } = require('./every-call.cjs')

for (const hooks of [false, true]) {
  test(`every call, hooks: ${hooks}`, async () => {
    mock.timers.enable({ now: 0 })
    try {
      await everyCall(require('goscope-postgres'), require('pg'), { hooks })
    } finally {
      mock.timers.reset()
    }
  })
}
