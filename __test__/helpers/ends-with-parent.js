// @ts-check
// Preloaded into a server: it ends when the process does that started it, however that ends, since their pipe does.
'use strict'

process.stdin.on('end', () => process.exit(1)).resume()
