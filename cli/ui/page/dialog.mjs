// @ts-check
// Changes, each after a confirmation that shows what it will do.

import { byId, make, setData, setText } from './dom.mjs'

/** Set when the page has been let in with --allow-changes. @type {{ token: string | null }} */
export const changes = { token: null }

/** @typedef {{ kind: string, storedKey: string, table?: string }} Wanted */

/**
 * @param {Wanted} wanted
 * @returns {Promise<void>}
 */
export async function propose(wanted) {
  const outcome = byId('outcome')
  setText(outcome, '')
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== undefined))
  const preview = await ask(`/api/preview?${query}`)
  if (preview.failure) return void setData(outcome, sentenceOf(preview.failure))
  if (!(await confirmed(preview, wanted))) return
}

/**
 * @param {any} preview
 * @param {Wanted} wanted
 * @returns {Promise<boolean>}
 */
function confirmed({ title, button, key, keyPrefix, storedKey, sentences, seen }, wanted) {
  const [dialog, confirm, problem] = [byId('dialog'), byId('dialog-confirm'), byId('dialog-problem')]
  setText(byId('dialog-title'), title)
  setData(byId('dialog-key'), `${keyPrefix}${keyPrefix && ' '}${key ?? storedKey}`)
  byId('dialog-text').replaceChildren(...sentences.map((/** @type {string} */ sentence) => sentenceElement(sentence)))
  setText(confirm, button)
  setText(problem, '')
  confirm.disabled = false
  confirm.onclick = async () => {
    confirm.disabled = true
    const made = await ask('/api/change', { ...wanted, seen })
    confirm.disabled = false
    if (made.failure) return setData(problem, sentenceOf(made.failure))
    setData(byId('outcome'), `${made.done}: ${made.key}`)
    dialog.close('done')
  }
  byId('dialog-cancel').onclick = () => dialog.close('')
  dialog.returnValue = ''
  dialog.showModal()
  return new Promise((resolve) =>
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'done'), { once: true }),
  )
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
    const text = await response.text()
    return text.startsWith('{') ? JSON.parse(text) : { failure: { message: text.trim(), advice: null } }
  } catch {
    return { failure: { message: 'The command has ended, or cannot be reached', advice: null } }
  }
}
