// @ts-check
// @configurations last
// @without first: a browser
'use strict'
