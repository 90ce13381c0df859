import { defineConfig } from 'vitepress'
import { assemble, slugOf } from './pages.mjs'

/** The path below which the site is published, such as `/goscope-postgres/`. */
const base = `/${(process.env.DOCS_BASE ?? '').replace(/^\/|\/$/g, '')}/`.replace('//', '/')

const { source, nav, sidebar } = await assemble()

export default defineConfig({
  base,
  srcDir: source,
  title: 'goscope-postgres',
  description: 'Locks, circuit breakers, a cache, checkpoints and idempotent work for Node.js, on PostgreSQL',
  lang: 'en',
  // A link that leads nowhere fails the build.
  ignoreDeadLinks: false,
  // The search covers everything; a page's own date would be that of the build.
  lastUpdated: false,
  // The index of the search is one file, which is loaded when the search is opened.
  vite: { build: { chunkSizeWarningLimit: 2_000 } },
  markdown: {
    anchor: { slugify: slugOf },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
  },
  themeConfig: {
    nav,
    sidebar,
    outline: { level: [2, 3] },
    search: { provider: 'local' },
  },
})
