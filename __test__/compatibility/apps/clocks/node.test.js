/** @jest-environment node */
'use strict'

for (const fakes of ['none', 'installed before the package is loaded', 'installed after the package was loaded']) {
  for (const hooks of [false, true]) {
    test(`fake timers: ${fakes}; hooks: ${hooks}`, async () => {
      jest.resetModules()
      if (fakes.includes('before')) jest.useFakeTimers({ now: 0 })
      const goscope = require('goscope-postgres')
      const pg = require('pg')
      if (fakes.includes('after')) jest.useFakeTimers({ now: 0 })
      try {
        await require('./every-call.cjs').everyCall(goscope, pg, { hooks })
      } finally {
        jest.useRealTimers()
      }
    })
  }
}
