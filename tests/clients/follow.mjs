// Asks once, then follows permit events with graphql-ws, over reconnections too; prints one JSON value a line.
// Its argument is JSON: {url, token, after, permitIds}.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const { url, token, after, permitIds } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${token}` },
  retryAttempts: 1000,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  // A refused connection is worth another try, a refused token is not.
  shouldRetry: (reason) => reason?.code !== 4403,
});

const run = (payload, next) =>
  new Promise((complete, error) => client.subscribe(payload, { next, error, complete }));

const ask = "{ permits(first: 1) { totalCount } }";

const follow = `
  subscription ($after: String, $filter: PermitEventSubscriptionFilter) {
    permitEvents(after: $after, filter: $filter) { cursor event { eventId permitId } permit { permitId status } }
  }`;

// The client sends this object anew after each reconnection: since the cursor in it moves on, nothing comes twice.
const variables = { after, filter: permitIds ? { permitIds } : null };

try {
  await run({ query: ask }, (asked) => tell({ asked }));
  await run({ query: follow, variables }, ({ data, errors }) => {
    if (errors) throw new Error(JSON.stringify(errors));
    variables.after = data.permitEvents.cursor;
    tell({ event: data.permitEvents });
  });
} catch (failure) {
  tell({ failed: { code: failure.code, reason: failure.reason ?? String(failure) } });
}
