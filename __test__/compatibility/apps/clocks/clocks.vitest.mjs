import { createRequire } from 'node:module'
import { expect, test, vi } from 'vitest'

const require = createRequire(import.meta.url)

/** The package as it is loaded for the first time. */
function loadedAnew() {
  for (const file of Object.keys(require.cache))
    if (/[\\/]goscope-postgres[\\/].*\.js$/.test(file)) delete require.cache[file]
  return require('goscope-postgres')
}

for (const fakes of ['none', 'installed before the package is loaded', 'installed after the package was loaded']) {
  for (const hooks of [false, true]) {
    test(`fake timers: ${fakes}; hooks: ${hooks}`, async () => {
      if (fakes.includes('before')) vi.useFakeTimers({ now: 0 })
      const goscope = loadedAnew()
      if (fakes.includes('after')) vi.useFakeTimers({ now: 0 })
      try {
        await require('./every-call.cjs').everyCall(goscope, require('pg'), { hooks })
      } finally {
        vi.useRealTimers()
      }
      expect(vi.isFakeTimers()).toBe(false)
    })
  }
}
