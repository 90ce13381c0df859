'use strict'

const path = require('node:path')

module.exports = {
  mode: 'production',
  target: 'node',
  entry: './app.js',
  output: { path: path.join(__dirname, 'dist'), filename: 'app.js' },
  // The addon is a file that is loaded, not a module that is bundled: the package is installed beside the bundle.
  externals: { 'goscope-postgres': 'commonjs goscope-postgres' },
}
