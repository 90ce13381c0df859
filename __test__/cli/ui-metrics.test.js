// @ts-check
// @configurations first
'use strict'
