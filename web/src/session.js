/** Where the token is kept, and how requests carry it. */

const KEY = 'plimsoll.token'

// sessionStorage, not localStorage: a token is as good as its owner's password
// until it expires, so it should survive a reload, but neither the tab nor be
// seen by other tabs. Storage can be switched off; then a reload forgets it.
let token = ''
try {
  token = sessionStorage.getItem(KEY) ?? ''
} catch {}

export const currentToken = () => token

export function keepToken(value) {
  // A token pasted out of a JSON answer or a header brings some wrapping along.
  token = value.trim().replace(/^Bearer\s+/i, '').replace(/^"(.*)"$/, '$1')
  try {
    if (token) sessionStorage.setItem(KEY, token)
    else sessionStorage.removeItem(KEY)
  } catch {}
  return token
}

// A header takes visible ASCII only; fetch would throw on anything else.
const fitsHeader = (value) => /^[\x21-\x7e]+$/.test(value)

/** Sends one request to the API, with the token when there is one. */
export async function send(params, headers = {}) {
  const authorization = fitsHeader(token) ? { authorization: `Bearer ${token}` } : {}
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...authorization,
      // What is typed into GraphiQL's own headers wins.
      ...lowerCaseKeys(headers),
    },
    body: JSON.stringify(params),
  })
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`The server answered ${response.status}: ${text.slice(0, 500) || 'nothing'}`)
  }
}

const lowerCaseKeys = (object) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key.toLowerCase(), value]))

/** Says whose token it is: `{state: 'none' | 'checking' | 'in' | 'refused' | 'unknown', name, role}`. */
export async function whoAmI() {
  if (!token) return { state: 'none' }
  if (!fitsHeader(token)) return { state: 'refused' }
  try {
    const { data, errors } = await send({ query: '{ viewer { user { name role } } }' })
    const user = data?.viewer?.user
    if (user) return { state: 'in', ...user }
    if (errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED')) return { state: 'refused' }
    // An anonymous viewer though a token was sent: the server did not take it.
    return { state: data?.viewer ? 'refused' : 'unknown' }
  } catch {
    // The result pane shows what is wrong with the server; the hint need not.
    return { state: 'unknown' }
  }
}
