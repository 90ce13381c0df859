export default {
  // Not bundled; copied, with the addon, by the standalone output.
  serverExternalPackages: ['goscope-postgres'],
  output: 'standalone',
}
