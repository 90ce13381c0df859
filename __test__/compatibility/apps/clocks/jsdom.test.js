/** @jest-environment jsdom */
'use strict'

const { TextEncoder } = require('node:util')

for (const fakes of ['none', 'installed before the package is loaded', 'installed after the package was loaded']) {
  for (const hooks of [false, true]) {
    for (const driver of ['pg', 'no pg']) {
      test(`fake timers: ${fakes}; hooks: ${hooks}; ${driver}`, async () => {
        jest.resetModules()
        // jsdom's window has none, and pg does not load without it. goscope-postgres does.
        globalThis.TextEncoder = driver === 'pg' ? TextEncoder : undefined
        if (fakes.includes('before')) jest.useFakeTimers({ now: 0 })
        const goscope = require('goscope-postgres')
        const pg = driver === 'pg' ? require('pg') : null
        if (fakes.includes('after')) jest.useFakeTimers({ now: 0 })
        try {
          await require('./every-call.cjs').everyCall(goscope, pg, { hooks })
        } finally {
          jest.useRealTimers()
        }
      })
    }
  }
}
