import { createGraphiQLFetcher } from '@graphiql/toolkit'
import { Kind, parse } from 'graphql'
import { createClient } from 'graphql-ws'

import { credentials, token } from './token.js'

/** How GraphiQL asks: queries and mutations by POST, subscriptions over graphql-transport-ws, both with the token or key. */
export function makeFetcher() {
  const signIn = credentials(token())
  const url = new URL('/graphql', location.href)
  const socket = new URL(url)
  socket.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const fetcher = createGraphiQLFetcher({
    url: url.href,
    headers: signIn,
    enableIncrementalDelivery: false,
    wsClient: createClient({
      url: socket.href,
      connectionParams: signIn,
      // A new socket would begin anew at "now": the gap is shown as an error, not hidden.
      retryAttempts: 0,
    }),
  })
  return (request, options) => fetcher(...upToDate(request, options))
}

/** GraphiQL's name and document lag a moment behind its editor: who runs a tab at once would run the one before. */
function upToDate(request, options) {
  try {
    const documentAST = parse(request.query)
    const operations = documentAST.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION)
    const operationName = operations.length === 1 ? operations[0].name?.value : request.operationName
    return [
      { ...request, operationName },
      { ...options, documentAST },
    ]
  } catch {
    return [request, options] // not well-formed: the server says where
  }
}
