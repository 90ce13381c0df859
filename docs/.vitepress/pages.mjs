// What the site is made of, assembled in one folder: the pages of docs/, the pages about the project, the example programs, and
// the API reference. Links between them are written for the files of the repository, and are changed here to those of the
// site.

import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeReference } from './reference.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const source = fileURLToPath(new URL('source', import.meta.url))

/** Pages at the top of the repository, by their addresses. */
const PROJECT = {
  'README.md': 'project/readme.md',
  'CHANGELOG.md': 'project/changelog.md',
  'CONTRIBUTING.md': 'project/contributing.md',
  'SECURITY.md': 'project/security.md',
  'CODE_OF_CONDUCT.md': 'project/code-of-conduct.md',
}
/** A folder of `examples/` is a page with its files, if it has no more than these. */
const LANGUAGES = /** @type {Record<string, string>} */ ({
  js: 'js',
  mjs: 'js',
  jsx: 'jsx',
  ts: 'ts',
  txt: 'text',
  json: 'json',
  yml: 'yaml',
  sql: 'sql',
  Dockerfile: 'dockerfile',
})

const read = (/** @type {string} */ file) => fs.readFileSync(path.join(root, file), 'utf8')
const isFolder = (/** @type {string} */ file) => fs.statSync(path.join(root, file)).isDirectory()
const filesIn = (/** @type {string} */ folder) =>
  fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => !name.includes('node_modules/') && !isFolder(`${folder}/${name}`))
    .sort()

/**
 * Writes the folder anew.
 *
 * @returns {Promise<{ source: string, nav: any[], sidebar: any[] }>}
 */
export async function assemble() {
  fs.rmSync(source, { recursive: true, force: true })
  const internals = filesIn('docs/internals').map((name) => `internals/${name}`)
  const pages = fs.readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'))
  for (const page of [...pages, ...internals]) write(page, onSite(`docs/${page}`, page))
  for (const [file, page] of Object.entries(PROJECT)) if (exists(file)) write(page, onSite(file, page))
  const examples = fs.readdirSync(path.join(root, 'examples')).filter((name) => isFolder(`examples/${name}`))
  for (const name of examples) write(`examples/${name}.md`, exampleOf(name))
  write('examples/index.md', `# Examples\n\n${examples.map((name) => `- [${name}](${name}.md)`).join('\n')}\n`)

  const reference = await writeReference(path.join(source, 'reference'))
  return { source, ...navigation({ examples, reference }) }
}

const exists = (/** @type {string} */ file) => fs.existsSync(path.join(root, file))

/** @param {string} page @param {string} text */
function write(page, text) {
  const file = path.join(source, page)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
}

/**
 * A page of the repository with the links of the site. Images of other hosts, such as badges, are left out.
 *
 * @param {string} file
 * @param {string} page its address
 */
function onSite(file, page) {
  const parts = read(file).split(/^(```.*?^```$)/ms)
  const prose = (/** @type {string} */ text) =>
    text
      .replace(/^!\[[^\]]*\]\(https?:[^)]*\)\n/gm, '')
      .replace(/(!?)(\[[^\]]*\])\(([^)\s]+)\)/g, (link, image, label, to) => {
        if (/^(https?:|mailto:|#)/.test(to)) return link
        const [name = '', anchor] = to.split('#')
        const target = path.posix.join(path.posix.dirname(file), name).replace(/\/$/, '')
        const { place, within = anchor } = placeOf(target, file)
        if (image) return `![${label.slice(1, -1)}](/${place.replace(/^public\//, '')})`
        const relative = path.posix.relative(path.posix.dirname(page), place.replace(/^public\//, ''))
        return `${label}(${relative}${within ? `#${within}` : ''})`
      })
  const text = parts.map((part) => (part.startsWith('```') ? part : prose(part))).join('')
  // A page without sections needs no column for their list.
  return /^## /m.test(text) ? text : `---\naside: false\n---\n\n${text}`
}

/**
 * Where a file of the repository is on the site.
 *
 * @param {string} file
 * @param {string} from the page that links it
 * @returns {{ place: string, within?: string }}
 */
function placeOf(file, from) {
  if (!exists(file)) throw new Error(`${from} links ${file}, which does not exist`)
  const project = /** @type {Record<string, string | undefined>} */ (PROJECT)[file]
  if (project) return { place: project }
  if (file.startsWith('docs/') && file.endsWith('.md')) return { place: file.slice('docs/'.length) }
  if (file === 'examples') return { place: 'examples/index.md' }
  const [, example, within] = /^examples\/([^/]+)(?:\/(.+))?$/.exec(file) ?? []
  if (example) return { place: `examples/${example}.md`, ...(within && !isFolder(file) && { within: slugOf(within) }) }
  if (isFolder(file)) throw new Error(`${from} links the folder ${file}, which has no page on the site`)
  // Any other file is served as it is.
  fs.mkdirSync(path.join(source, 'public/files', path.dirname(file)), { recursive: true })
  fs.copyFileSync(path.join(root, file), path.join(source, 'public/files', file))
  return { place: `public/files/${file}` }
}

/** @param {string} name */
function exampleOf(name) {
  const blocks = filesIn(`examples/${name}`).map((file) => {
    const language = LANGUAGES[file.split('.').at(-1) ?? '']
    const text = language ? read(`examples/${name}/${file}`) : undefined
    return text === undefined ? `## ${file}` : `## ${file}\n\n\`\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\``
  })
  return `# examples/${name}\n\n${blocks.join('\n\n')}\n`
}

/**
 * The navigation has the order of the tables of docs/index.md and CONTRIBUTING.md.
 *
 * @param {{ examples: string[], reference: { text: string, items: object[] }[] }} made
 */
function navigation({ examples, reference }) {
  const [, use = '', run = ''] = read('docs/index.md').split(/^\| to (?:use|run) it .*$/m)
  const linked = (/** @type {string} */ text, /** @type {RegExp} */ link) =>
    [...text.matchAll(link)].map(([, label, page = '']) => ({ text: label, link: `/${page}` }))
  const rows = (/** @type {string} */ text) => linked(text, /^\| \[([^\]]+)\]\(([\w-]+)\.md\)/gm)
  const internals = linked(read('CONTRIBUTING.md'), /^\| \[([^\]]+)\]\(docs\/(internals\/[\w-]+)\.md\)/gm)
  const project = Object.values(PROJECT).filter((page) => fs.existsSync(path.join(source, page)))
  const titleOf = (/** @type {string} */ page) =>
    /^# (.+)$/m.exec(fs.readFileSync(path.join(source, page), 'utf8'))?.[1] ?? page
  const sidebar = [
    { text: 'To use it', items: rows(use) },
    { text: 'To run it', items: rows(run) },
    {
      text: 'API reference',
      collapsed: true,
      items: [
        { text: 'Overview', link: '/reference/' },
        ...reference.map((category) => ({ ...category, collapsed: true })),
      ],
    },
    {
      text: 'Examples',
      collapsed: true,
      items: examples.map((name) => ({ text: name, link: `/examples/${name}` })),
    },
    { text: 'Internals', collapsed: true, items: internals },
    {
      text: 'Project',
      collapsed: true,
      items: project.map((page) => ({
        text: page.includes('readme') ? 'README' : titleOf(page),
        link: `/${page.replace(/\.md$/, '')}`,
      })),
    },
  ]
  const nav = [
    { text: 'Pages', link: '/' },
    { text: 'API reference', link: '/reference/' },
    { text: 'Changelog', link: '/project/changelog' },
  ]
  return { nav, sidebar }
}

/**
 * The anchor of a heading, as GitHub makes it.
 *
 * @param {string} heading
 */
export function slugOf(heading) {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}
