import * as goscope from 'goscope-postgres'
import * as pg from 'pg'
import { work } from './work.cjs'

// A copy of pg inside a bundle cannot be found from outside, so its DatabaseError cannot be promised.
work(goscope, pg, Error).then(() => console.log('the bundle worked'))
