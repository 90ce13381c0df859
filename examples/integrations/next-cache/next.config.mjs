import { fileURLToPath } from 'node:url'

export default {
  output: 'standalone',
  cacheHandler: fileURLToPath(new URL('cache-handler.mjs', import.meta.url)),
}
