// @ts-check
// Preloaded into a server. It ends with the process that started it, however that ends, since their pipe closes.
'use strict'

process.stdin.on('end', () => process.exit(1)).resume()
