// @ts-check

import { make, setData } from './dom.mjs'

const TITLES = {
  absent: 'This table is not there',
  refused: 'The server refuses',
  unreachable: 'The database cannot be reached',
}

/**
 * Shows why nothing new comes, or that it comes again.
 *
 * @param {HTMLElement} element
 * @param {{ message: string, advice: string | null, kind: keyof typeof TITLES } | undefined} failure
 */
export function showProblem(element, failure) {
  const text = failure === undefined ? '' : `${failure.kind} ${failure.message}`
  if (element.dataset.shown === text) return
  element.dataset.shown = text
  element.hidden = failure === undefined
  element.replaceChildren()
  if (failure === undefined) return
  const [title, message, advice] = [make('strong'), make('p', { class: 'data' }), make('p')]
  setData(title, TITLES[failure.kind] ?? 'It failed')
  setData(message, failure.message)
  setData(advice, adviceOf(failure))
  element.append(title, message, advice)
}

/** @param {{ advice: string | null, kind: keyof typeof TITLES }} failure */
const adviceOf = ({ advice, kind }) =>
  kind === 'absent'
    ? 'An application makes it when it needs it; or `goscope-postgres schema` prints its SQL.'
    : (advice ?? (kind === 'unreachable' ? 'It is tried again.' : ''))
