/**
 * What the visitor signs in with: a bearer token or an API key. It comes by the link that `lakefront serve` prints
 * (`#token=…`) or is typed in, and stays in this tab's sessionStorage: no other tab, and no later visit, has it. A fragment
 * never reaches a server or its logs.
 */

const KEY = 'lakefront.token'
const changed = new EventTarget()

/** The token or API key, '' if there is none. */
export const token = () => sessionStorage.getItem(KEY) ?? ''

/** Keep `value`; '' forgets the token. */
export function setToken(value) {
  if (value) sessionStorage.setItem(KEY, value)
  else sessionStorage.removeItem(KEY)
  changed.dispatchEvent(new Event('change'))
}

/** Call `listener` whenever the token changes; returns the way to stop that. */
export function onToken(listener) {
  changed.addEventListener('change', listener)
  return () => changed.removeEventListener('change', listener)
}

/** The tenant whose API key `value` is (`<tenant>_api_…`), `null` if it is a token: a JWT has dots, a key has none. */
export const tenantOfKey = (value) => (value.includes('_api_') && !value.includes('.') ? value.split('_api_')[0] : null)

/** What `value` is sent as: a header of requests, a member of the `connection_init` of sockets. */
export const credentials = (value) =>
  tenantOfKey(value) === null ? { Authorization: `Bearer ${value}` } : { 'X-API-Key': value }

/** What the token says about itself, `null` if it is no JWT; only the server can tell whether it holds. */
export function claims(value) {
  try {
    const payload = value.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')
    return JSON.parse(atob(payload))
  } catch {
    return null
  }
}

function takeFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')
  if (given === null) return
  // Out of the address bar and the history at once: what is there gets shared and photographed.
  history.replaceState(history.state, '', location.pathname + location.search)
  setToken(given.trim())
}

takeFromAddress()
addEventListener('hashchange', takeFromAddress)
