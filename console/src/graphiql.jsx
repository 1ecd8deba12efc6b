import 'graphiql/setup-workers/vite'
import 'graphiql/style.css'
import './bar.css'
import './graphiql.css'

import { GraphiQL, HISTORY_PLUGIN } from 'graphiql'
import { useMemo, useSyncExternalStore } from 'react'
import { createPortal } from 'react-dom'
import { createRoot } from 'react-dom/client'

import { Examples, ExamplesIcon } from './examples-panel.jsx'
import { examples } from './examples.js'
import { makeFetcher } from './fetcher.js'
import { SignedIn, SignIn } from './sign-in.jsx'
import { onToken, token } from './token.js'

const EXAMPLES_PLUGIN = { title: 'Examples', icon: ExamplesIcon, content: Examples }
const PLUGINS = [EXAMPLES_PLUGIN, HISTORY_PLUGIN]
const TABS = examples.filter(({ tab }) => tab).map(({ query, variables }) => ({ query, variables }))

function Page() {
  const current = useSyncExternalStore(onToken, token)
  if (!current) return <SignIn />
  return (
    <>
      {createPortal(<SignedIn token={current} />, document.getElementById('token'))}
      {/* Another token is another visitor: nothing of the one before goes on. */}
      <Console key={current} />
    </>
  )
}

function Console() {
  const fetcher = useMemo(makeFetcher, [])
  const { query, variables } = useMemo(activeTab, [])
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={PLUGINS}
      defaultTabs={TABS}
      initialQuery={query ?? undefined}
      initialVariables={variables ?? undefined}
      defaultEditorToolsVisibility="variables"
      inputValueDeprecation
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
    />
  )
}

/** The tab that is shown first: GraphiQL itself (5.4) brings back its query, but not its variables. */
function activeTab() {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem('graphiql:tabState'))
    return tabs[activeTabIndex] ?? TABS[0]
  } catch {
    return TABS[0]
  }
}

createRoot(document.getElementById('root')).render(<Page />)
