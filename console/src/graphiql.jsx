import 'graphiql/setup-workers/vite'
import 'graphiql/style.css'
import './graphiql.css'

import { GraphiQL, HISTORY_PLUGIN } from 'graphiql'
import { useMemo, useState, useSyncExternalStore } from 'react'
import { createRoot } from 'react-dom/client'

import { Examples, ExamplesIcon } from './examples-panel.jsx'
import { examples } from './examples.js'
import { makeFetcher } from './fetcher.js'
import { claims, onToken, setToken, token } from './token.js'

const EXAMPLES_PLUGIN = { title: 'Examples', icon: ExamplesIcon, content: Examples }
const PLUGINS = [EXAMPLES_PLUGIN, HISTORY_PLUGIN]
const TABS = examples.map(({ query, variables }) => ({ query, variables }))

function Page() {
  const current = useSyncExternalStore(onToken, token)
  // Another token is another visitor: the schema is asked for anew, and no socket of the old one stays.
  const fetcher = useMemo(makeFetcher, [current])
  return (
    <>
      <Bar current={current} />
      <main>
        <GraphiQL
          key={current}
          fetcher={fetcher}
          schema={current ? undefined : null /* without a token it would only be refused */}
          plugins={PLUGINS}
          defaultTabs={TABS}
          defaultEditorToolsVisibility="variables"
          inputValueDeprecation
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
        >
          <GraphiQL.Logo>
            <span />
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  )
}

function Bar({ current }) {
  const [typed, setTyped] = useState('')
  const submit = (event) => {
    event.preventDefault()
    setToken(typed.trim().replace(/^Bearer\s+/i, ''))
    setTyped('')
  }
  return (
    <header>
      <a className="home" href="/">
        Lakefront
      </a>
      <nav>
        <a href="/docs">REST</a>
        <a href="/redoc">Reference</a>
      </nav>
      {current ? (
        <div className="token">
          <span>{described(current)}</span>
          <button type="button" onClick={() => setToken('')}>
            Forget token
          </button>
        </div>
      ) : (
        <form className="token" onSubmit={submit}>
          <label htmlFor="token">
            Token, as printed by <code>lakefront token</code>
          </label>
          <input
            id="token"
            type="password"
            autoComplete="off"
            spellCheck="false"
            required
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
          <button type="submit">Use</button>
        </form>
      )}
    </header>
  )
}

/** Whose token it is and until when, in the visitor's own time. */
function described(value) {
  const told = claims(value)
  if (!told) return 'Signed in with a token'
  const until = told.exp ? `, until ${new Date(told.exp * 1000).toLocaleString()}` : ''
  return `Signed in as ${told.sub ?? 'somebody'}${until}`
}

createRoot(document.getElementById('root')).render(<Page />)
