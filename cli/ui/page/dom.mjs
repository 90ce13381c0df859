// @ts-check
// Elements of the page. Text becomes text and never markup: nothing here takes HTML.

import { visible } from './text.mjs'

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | undefined>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/**
 * Leaves the text alone if it is the same: a screen reader, and a selection, notice a new one.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Data of an application, in which invisible characters are shown as escapes.
 *
 * @param {Element} element
 * @param {string} text
 */
export const setData = (element, text) => setText(element, visible(text))

/**
 * @param {Element} element
 * @param {string} name
 * @param {string | undefined} value
 */
export function setAttribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name)
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}

/** An element of the page's own HTML. @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id)
