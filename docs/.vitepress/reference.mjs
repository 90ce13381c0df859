// The API reference, made from the declarations with typedoc: a page for each exported name, by category.

import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application } from 'typedoc'
import { subjectsOfMembers } from './subjects.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

const CATEGORIES = [
  'Adapters',
  'Locks',
  'Circuit breakers',
  'Cache',
  'Checkpoints',
  'Idempotency',
  'Transactions',
  'Integrations',
  'Connecting',
  'Observability',
  'Errors',
  'Testing',
]

/**
 * Writes the pages, and returns them for the navigation. A warning of typedoc, for example of a link that leads nowhere,
 * rejects.
 *
 * @param {string} folder
 * @returns {Promise<{ text: string, items: { text: string, link: string }[] }[]>}
 */
export async function writeReference(folder) {
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown', subjectsOfMembers],
    entryPoints: [
      'index.d.ts',
      'embedded.d.ts',
      'clients.d.ts',
      'keyv.d.ts',
      'express-session.d.ts',
      'unstorage.d.ts',
      'rate-limiter-flexible.d.ts',
      'nestjs.d.ts',
      'langgraph.d.ts',
      'opentelemetry.d.ts',
      'prometheus.d.ts',
    ].map((name) => path.join(root, name)),
    tsconfig: path.join(root, 'docs/.vitepress/tsconfig.json'),
    out: folder,
    name: 'API reference',
    readme: 'none',
    disableSources: true,
    disableGit: true,
    hideGenerator: true,
    excludePrivate: true,
    categorizeByGroup: false,
    categoryOrder: [...CATEGORIES, 'Life cycle', 'Groups', '*'],
    sort: ['source-order'],
    sortEntryPoints: false,
    logLevel: 'Warn',
    validation: { notExported: false, invalidLink: true, notDocumented: false },
    // Of typedoc-plugin-markdown:
    hidePageHeader: true,
    hideBreadcrumbs: true,
    useCodeBlocks: true,
    parametersFormat: 'table',
    entryFileName: 'index',
  })
  const project = await app.convert()
  if (!project) throw new Error('the declarations have errors')
  app.validate(project)
  await app.generateOutputs(project)
  if (app.logger.warningCount + app.logger.errorCount > 0) throw new Error('typedoc warns of the declarations')

  const files = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => file.replaceAll('\\', '/'))
  const linkOf = (/** @type {string} */ name) => {
    const file = files.find((file) => path.posix.basename(file) === `${name}.md`)
    if (!file) throw new Error(`the API reference has no page for ${name}`)
    return `/reference/${file.replace(/\.md$/, '')}`
  }
  const categories = (project.children ?? []).flatMap((module) => module.categories ?? [])
  categories.sort((one, other) => CATEGORIES.indexOf(one.title) - CATEGORIES.indexOf(other.title))
  return categories.map(({ title, children }) => ({
    text: title,
    // A default export is another name of something that has a page.
    items: children.filter(({ name }) => name !== 'default').map(({ name }) => ({ text: name, link: linkOf(name) })),
  }))
}
