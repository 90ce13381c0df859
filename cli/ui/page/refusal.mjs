// @ts-check
// Why a request was refused, as plain text.

/** What is longer is no message of the command. */
const LONGEST = 500

/**
 * An answer of the command is JSON with a failure, or one line of plain text. Any other is of a proxy in between, whose
 * HTML is not for a reader.
 *
 * @param {Response} response
 * @returns {Promise<{ message: string, advice: string | null }>}
 */
export async function refusalOf(response) {
  const type = response.headers.get('content-type') ?? ''
  const text = (await response.text()).trim()
  try {
    const { failure } = type.startsWith('application/json') ? JSON.parse(text) : {}
    if (typeof failure?.message === 'string') return failure
  } catch {}
  if (type.startsWith('text/plain') && text !== '' && text.length <= LONGEST) return { message: text, advice: null }
  const status = `${response.status} ${response.statusText}`.trim()
  return { message: `The answer is ${status}, and not from the command: is a proxy in between?`, advice: null }
}
