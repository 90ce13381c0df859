// One process for one way to install sinon's fakes: `node sinon.cjs before|after hooks|plain all|timers`.
'use strict'

const sinon = require('sinon')
const pg = require('pg')
const { everyCall } = require('./every-call.cjs')

const [when, hooks, which] = process.argv.slice(2)
const toNotFake = which === 'timers' ? ['nextTick', 'queueMicrotask'] : []
const fake = () => sinon.useFakeTimers({ now: 0, toNotFake })
const clock = when === 'before' ? fake() : undefined
const goscope = require('goscope-postgres')
const later = when === 'after' ? fake() : undefined

everyCall(goscope, pg, { hooks: hooks === 'hooks', nodeStands: which === 'all' }).then(
  () => {
    for (const each of [clock, later]) each?.restore()
    console.log(`worked with fakes installed ${when} the package was loaded, ${hooks}, ${which}`)
  },
  (error) => {
    for (const each of [clock, later]) each?.restore()
    console.error(error)
    process.exitCode = 1
  },
)
