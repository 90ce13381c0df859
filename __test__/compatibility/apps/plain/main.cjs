'use strict'

const goscope = require('goscope-postgres')
const pg = require('pg')
const { runtime, work } = require('./work.cjs')

work(goscope, pg, pg.DatabaseError).then(() => {
  console.log(`worked with ${require.resolve('goscope-postgres')} in ${runtime()}`)
})
