import { createGraphiQLFetcher } from '@graphiql/toolkit'
import { createClient } from 'graphql-ws'

import { token } from './token.js'

const authorization = () => (token() ? { Authorization: `Bearer ${token()}` } : {})

/** How GraphiQL asks: queries and mutations by POST, subscriptions over graphql-transport-ws, both with the token. */
export function makeFetcher() {
  const url = new URL('/graphql', location.href)
  const socket = new URL(url)
  socket.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return createGraphiQLFetcher({
    url: url.href,
    enableIncrementalDelivery: false,
    fetch: (to, init) => fetch(to, { ...init, headers: { ...authorization(), ...init.headers } }),
    wsClient: createClient({
      url: socket.href,
      connectionParams: authorization,
      // A new socket would begin anew at "now": the gap is shown as an error, not hidden.
      retryAttempts: 0,
    }),
  })
}
