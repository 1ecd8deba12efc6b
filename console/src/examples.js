/** The ready-made operations: one `.graphql` file each, its variables in the `.json` file of the same name. */

const documents = import.meta.glob('./examples/*.graphql', { query: '?raw', import: 'default', eager: true })
const values = import.meta.glob('./examples/*.json', { query: '?raw', import: 'default', eager: true })

const ORDER = [
  ['permits', 'Query', 'Permits of a neighborhood'],
  ['statistics', 'Query', 'Grouped statistics'],
  ['ingest', 'Mutation', 'Take events in'],
  ['lake', 'Query', 'Files in the lake'],
  ['follow', 'Subscription', 'Follow events live'],
  ['pipeline', 'Subscription', 'Watch the pipeline'],
  ['me', 'Query', 'Who you are'],
  ['usage', 'Query', "Your tenant's usage"],
  ['api-keys', 'Query', 'API keys'],
  ['create-api-key', 'Mutation', 'Make an API key'],
  ['rotate-api-key', 'Mutation', 'Rotate an API key'],
]

/** What a first visit finds open; the others are in the panel beside the editor. */
const FIRST_TABS = ['permits', 'statistics', 'ingest', 'follow']

export const examples = ORDER.map(([name, kind, title]) => ({
  name,
  kind,
  title,
  tab: FIRST_TABS.includes(name),
  query: documents[`./examples/${name}.graphql`],
  variables: values[`./examples/${name}.json`] ?? null,
}))
