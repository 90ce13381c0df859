'use strict'

const { build } = require('esbuild')

const options = { entryPoints: ['app.js'], bundle: true, platform: 'node' }

async function main() {
  // The package is left out, and installed beside the bundle.
  await build({ ...options, outfile: 'dist/app.js', external: ['goscope-postgres'] })
  // Or its JavaScript is taken in, and only the platform's package, with the addon, is installed beside the bundle.
  await build({ ...options, outfile: 'dist/whole.js', external: ['goscope-postgres-*'] })
}

main()
