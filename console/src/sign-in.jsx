import { useState } from 'react'

import { claims, setToken } from './token.js'

/** What a visitor without a token sees. */
export function SignIn() {
  const [typed, setTyped] = useState('')
  const submit = (event) => {
    event.preventDefault()
    setToken(typed.trim().replace(/^Bearer\s+/i, ''))
  }
  return (
    <main className="sign-in">
      <h1>A token first</h1>
      <p>
        The link that <code>lakefront serve</code> prints brings one along. <code>lakefront token --role reader</code>{' '}
        makes another. It stays in this tab, until the tab is closed.
      </p>
      <form onSubmit={submit}>
        <input
          type="password"
          aria-label="Token"
          placeholder="eyJ…"
          autoComplete="off"
          spellCheck="false"
          autoFocus
          required
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <button type="submit">Use token</button>
      </form>
    </main>
  )
}

/** Whose token it is and until when, in the visitor's own time, and the way to forget it. */
export function SignedIn({ token }) {
  const told = claims(token)
  const until = told?.exp ? ` until ${new Date(told.exp * 1000).toLocaleString()}` : ''
  return (
    <>
      <span>{`Signed in${told?.sub ? ` as ${told.sub}` : ''}${until}`}</span>
      <button type="button" onClick={() => setToken('')}>
        Forget token
      </button>
    </>
  )
}
