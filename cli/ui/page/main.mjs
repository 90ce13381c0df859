// @ts-check
// The page: the view that its address names, fed by one stream of events.

import { changes } from './dialog.mjs'
import { byId, make, setAttribute, setData, setText } from './dom.mjs'
import { Live } from './live.mjs'
import { here, hrefOf } from './place.mjs'
import { plots } from './plots.mjs'
import { refusalOf } from './refusal.mjs'
import { ROWS_VIEWS } from './rows-views.mjs'
import { cacheSize, connections, overview } from './summary.mjs'

const TICK_MS = 500
/** A page that cannot begin tries again after this. */
const AGAIN_MS = 3_000

/** In the order of the navigation. */
const NAVIGATION = [
  ['overview', 'Overview'],
  ['locks', 'Locks'],
  ['circuits', 'Circuit breakers'],
  ['tasks', 'Tasks'],
  ['cache', 'Cache'],
  ['results', 'Idempotency'],
  ['connections', 'Connections'],
  ['plots', 'Plots'],
]

/** Views that have no entry of their own in the navigation. @type {Record<string, string>} */
const WITHIN = { claims: 'results', checkpoints: 'tasks' }

/** Events that do not come from the database. */
const OF_APPLICATIONS = ['plots', 'hits']

/** What of the address only the page needs. */
const OWN = ['page']

/** @type {{ caches: string[] }} */
let about = { caches: [] }
/** @type {{ view: string, identity: string, parts: import('./summary.mjs').Part[] } | undefined} */
let current
/** The last failure of the server, if it is one that ends by itself. */
let lost = ''
let isAway = false

const live = new Live(onEvent, (message) => {
  if (message !== undefined) setConnection('lost', message)
  else if (lost === '') setConnection('live', 'Live')
  // The command may have been started anew, and then has another token for changes.
  if (message === undefined && isAway) takeSession()
  isAway = message !== undefined
})

/**
 * @param {string} event
 * @param {any} data
 */
function onEvent(event, data) {
  if (data.failure?.kind === 'unreachable') {
    lost = data.failure.message
    setConnection('lost', 'The database cannot be reached; trying again')
  } else if (!OF_APPLICATIONS.includes(event)) {
    // A refusal is an answer, too.
    lost = ''
    setConnection('live', 'Live')
  }
  for (const part of current?.parts ?? []) if (part.events.includes(event)) part.show(event, data)
}

/**
 * @param {'live' | 'lost'} state
 * @param {string} text
 */
function setConnection(state, text) {
  const element = byId('connection')
  setAttribute(element, 'data-state', state)
  setText(element, text)
}

/** @param {string} view @returns {{ title: string, parts: import('./summary.mjs').Part[], lead?: Node } | undefined} */
function build(view) {
  if (view === 'overview') return { title: 'Overview', parts: [overview()] }
  if (view === 'connections') return { title: 'Connections', parts: [connections()] }
  if (view === 'plots') return { title: 'The last hour', parts: [plots()] }
  if (!Object.hasOwn(ROWS_VIEWS, view)) return undefined
  const { title, listing, lead } = ROWS_VIEWS[view]
  const rows = listing(about)
  const list = {
    element: rows.element,
    events: rows.events,
    show: rows.show.bind(rows),
    tick: rows.tick.bind(rows),
    asked: () => rows.asked(),
  }
  return { title, parts: view === 'cache' ? [cacheSize(), list] : [list], lead: lead?.() }
}

function show() {
  const place = here()
  const { view } = place
  // A filter, an order or a page of the same view: what is there stays, and so does the focus.
  const identity = JSON.stringify([view, place.task, place.table])
  if (current?.identity !== identity) {
    const built = build(view) ?? build('overview')
    if (built === undefined) return
    const isFirst = current === undefined
    current = { view, identity, parts: built.parts }
    const title = place.task === undefined ? built.title : `${built.title}: ${place.task}`
    setData(byId('title'), title)
    document.title = `${built.title} – goscope-postgres`
    setText(byId('outcome'), '')
    byId('content').replaceChildren(...(built.lead ? [built.lead] : []), ...built.parts.map(({ element }) => element))
    for (const link of byId('views').querySelectorAll('a')) {
      setAttribute(link, 'aria-current', link.dataset.view === (WITHIN[view] ?? view) ? 'page' : undefined)
    }
    // After a click in the navigation, the keyboard and a screen reader go on in the view.
    if (!isFirst) byId('main').focus({ preventScroll: true })
  } else {
    for (const part of current.parts) /** @type {any} */ (part).asked?.()
  }
  const query = Object.fromEntries(Object.entries(place).filter(([name]) => !OWN.includes(name)))
  live.look(query, ['server', ...current.parts.flatMap(({ events }) => events)])
}

/** What the command says of itself. @returns {Promise<string | undefined>} why that is not known */
async function takeSession() {
  try {
    const response = await fetch('/api/session')
    if (!response.ok) return (await refusalOf(response)).message
    const session = await response.json()
    about = session
    changes.token = session.changeToken
    const { server, keyPrefix } = session
    setData(byId('server'), `${server.database} as ${server.role}${keyPrefix === null ? '' : `, prefix ${keyPrefix}`}`)
    return undefined
  } catch {
    return 'The command cannot be reached'
  }
}

async function start() {
  byId('views').append(
    ...NAVIGATION.map(([view, label]) => {
      const link = make('a', { href: hrefOf({ view }), 'data-view': view }, label)
      return make('li', {}, link)
    }),
  )
  // A link to the content is not a view.
  document.querySelector('.skip')?.addEventListener('click', (event) => {
    event.preventDefault()
    byId('main').focus()
  })
  for (let problem = await takeSession(); problem !== undefined; problem = await takeSession()) {
    setConnection('lost', problem)
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
  }
  window.addEventListener('hashchange', show)
  setInterval(() => document.hidden || current?.parts.forEach((part) => void part.tick?.()), TICK_MS)
  show()
}

start()
