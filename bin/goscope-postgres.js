#!/usr/bin/env node
// @ts-check
'use strict'

require('../cli/main.js').main(process.argv.slice(2))
