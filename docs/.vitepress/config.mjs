import { defineConfig } from 'vitepress'
import { assemble, slugOf } from './pages.mjs'

/** The path below which the site is published, such as `/goscope-postgres/`. */
const base = `/${(process.env.DOCS_BASE ?? '').replace(/^\/|\/$/g, '')}/`.replace('//', '/')

/** A lock. */
const ICON = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="none" stroke="#3a7bd5" stroke-width="2" d="M5 7V5a3 3 0 0 1 6 0v2"/><rect x="3" y="7" width="10" height="7" rx="1.5" fill="#3a7bd5"/></svg>')}`

const { source, nav, sidebar } = await assemble()

export default defineConfig({
  base,
  srcDir: source,
  title: 'goscope-postgres',
  description: 'Locks, circuit breakers, a cache, checkpoints and idempotent work for Node.js, on PostgreSQL',
  lang: 'en',
  head: [['link', { rel: 'icon', href: ICON }]],
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
