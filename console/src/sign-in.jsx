import { useState } from 'react'

import { claims, setToken, tenantOfKey } from './token.js'

/** What a visitor without a token or an API key sees. */
export function SignIn() {
  const [typed, setTyped] = useState('')
  const submit = (event) => {
    event.preventDefault()
    setToken(typed.trim().replace(/^Bearer\s+/i, ''))
  }
  return (
    <main className="sign-in">
      <h1>A token or an API key first</h1>
      <p>
        The link that <code>lakefront serve</code> prints brings one along. <code>lakefront token --role reader</code>{' '}
        makes another. A tenant has the API key that its onboarding showed. It stays in this tab, until the tab is closed.
      </p>
      <form onSubmit={submit}>
        <input
          type="password"
          aria-label="Token or API key"
          placeholder="eyJ… or acme_corp_api_…"
          autoComplete="off"
          spellCheck="false"
          autoFocus
          required
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <button type="submit">Sign in</button>
      </form>
    </main>
  )
}

/** Whose token or key it is, a token's end in the visitor's own time, and the way to forget it. */
export function SignedIn({ token }) {
  const key = tenantOfKey(token)
  return (
    <>
      <span>{key === null ? whose(claims(token)) : `Signed in with an API key of ${key}`}</span>
      <button type="button" onClick={() => setToken('')}>
        {key === null ? 'Forget token' : 'Forget key'}
      </button>
    </>
  )
}

function whose(told) {
  const until = told?.exp ? ` until ${new Date(told.exp * 1000).toLocaleString()}` : ''
  return `Signed in${told?.sub ? ` as ${told.sub}` : ''}${until}`
}
