// @ts-check
// Where the page is: the view, its filter, its order and its page, in the fragment of the address. So the browser's back
// button, a reload and a bookmark work.

/** @typedef {Record<string, string>} Place with `view` */

/** @returns {Place} */
export function here() {
  const [view, query = ''] = location.hash.slice(1).split('?')
  return { ...Object.fromEntries(new URLSearchParams(query)), view: view === 'main' || !view ? 'overview' : view }
}

/**
 * The address of a place.
 *
 * @param {Place} place
 */
export function hrefOf({ view, ...rest }) {
  const query = new URLSearchParams(Object.entries(rest).filter(([, value]) => value !== '')).toString()
  return query === '' ? `#${view}` : `#${view}?${query}`
}

/**
 * @param {Record<string, string>} changes to the present place; an empty text takes something away
 * @param {{ replaces?: boolean }} [options] whether the back button is to skip the present place
 */
export function go(changes, { replaces = false } = {}) {
  const href = hrefOf({ ...here(), ...changes })
  if (href === location.hash) return
  if (replaces) {
    history.replaceState(null, '', href)
    window.dispatchEvent(new HashChangeEvent('hashchange'))
  } else {
    location.hash = href
  }
}
