// @ts-check
// Changes, each after a confirmation that shows what it will do.

import { byId, make, setData, setText } from './dom.mjs'
import { refusalOf } from './refusal.mjs'

/** Set when the page has been let in with --allow-changes. @type {{ token: string | null }} */
export const changes = { token: null }

/** @typedef {{ kind: string, storedKey: string, table?: string }} Wanted */

/** The number of the latest proposal. An answer to an earlier one, which has come late, must not show in the dialog. */
let latest = 0

/**
 * @param {Wanted} wanted
 * @returns {Promise<void>}
 */
export async function propose(wanted) {
  const proposal = ++latest
  const outcome = byId('outcome')
  setText(outcome, '')
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== undefined))
  const preview = await ask(`/api/preview?${query}`)
  if (proposal !== latest) return
  if (preview.failure) return setData(outcome, sentenceOf(preview.failure))
  show(preview, () => makeChange(wanted, preview, proposal))
}

/**
 * @param {any} preview
 * @param {() => void} onConfirm
 */
function show({ title, button, key, keyPrefix, storedKey, sentences }, onConfirm) {
  const [dialog, confirm, cancel] = [byId('dialog'), byId('dialog-confirm'), byId('dialog-cancel')]
  setText(byId('dialog-title'), title)
  setData(byId('dialog-key'), `${keyPrefix}${keyPrefix && ' '}${key ?? storedKey}`)
  byId('dialog-text').replaceChildren(...sentences.map((/** @type {string} */ sentence) => sentenceElement(sentence)))
  setText(confirm, button)
  setText(byId('dialog-problem'), '')
  setIsChanging(false)
  confirm.onclick = onConfirm
  cancel.onclick = () => dialog.close()
  // The Escape key.
  dialog.oncancel = (/** @type {Event} */ event) => {
    if (cancel.disabled) event.preventDefault()
  }
  dialog.showModal()
}

/**
 * @param {Wanted} wanted
 * @param {any} preview what is to be changed is exactly what it has shown
 * @param {number} proposal
 */
async function makeChange(wanted, { seen, key, storedKey }, proposal) {
  const [dialog, outcome] = [byId('dialog'), byId('outcome')]
  setIsChanging(true)
  const made = await ask('/api/change', { ...wanted, seen })
  // Browsers close a dialog all the same if Escape is pressed again. Then the outcome is shown on the page.
  const isShown = dialog.open && proposal === latest
  if (isShown) setIsChanging(false)
  if (!made.failure) setData(outcome, `${made.done}: ${made.key}`)
  else if (isShown) setData(byId('dialog-problem'), sentenceOf(made.failure))
  else setData(outcome, `${key ?? storedKey}: ${sentenceOf(made.failure)}`)
  if (isShown && !made.failure) dialog.close()
}

/** A change that is on its way cannot be taken back. @param {boolean} isChanging */
function setIsChanging(isChanging) {
  byId('dialog-confirm').disabled = byId('dialog-cancel').disabled = isChanging
}

/** @param {string} sentence */
function sentenceElement(sentence) {
  const element = make('p')
  setData(element, sentence)
  return element
}

/** @param {{ message: string, advice: string | null }} failure */
const sentenceOf = ({ message, advice }) => [message, advice].filter(Boolean).join('. ')

/**
 * @param {string} address
 * @param {any} [body] of a change
 */
async function ask(address, body) {
  const change = body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Change-Token': changes.token ?? '' },
    body: JSON.stringify(body),
  }
  try {
    const response = await fetch(address, change)
    return response.ok ? await response.json() : { failure: await refusalOf(response) }
  } catch {
    return { failure: { message: 'The command has ended, or cannot be reached', advice: null } }
  }
}
