import { useGraphiQL, useGraphiQLActions } from '@graphiql/react'
import { useEffect, useState } from 'react'

import { examples } from './examples.js'

/** A list of the ready-made operations; each opens in a tab of its own. */
export function Examples() {
  const { addTab } = useGraphiQLActions()
  const queryEditor = useGraphiQL((state) => state.queryEditor)
  const variableEditor = useGraphiQL((state) => state.variableEditor)
  const [chosen, setChosen] = useState(null)

  // The editors show the new tab only after it was added.
  useEffect(() => {
    if (chosen === null) return
    queryEditor?.setValue(chosen.query)
    variableEditor?.setValue(chosen.variables ?? '')
    setChosen(null)
  }, [chosen, queryEditor, variableEditor])

  return (
    <section className="examples" aria-label="Examples">
      <h2>Examples</h2>
      <ul>
        {examples.map((example) => (
          <li key={example.name}>
            <button
              type="button"
              onClick={() => {
                addTab()
                setChosen(example)
              }}
            >
              <small>{example.kind}</small>
              {example.title}
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

export function ExamplesIcon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round">
      <path d="M5 4h14v16H5zM8.5 8.5h7M8.5 12h7M8.5 15.5h4" />
    </svg>
  )
}
