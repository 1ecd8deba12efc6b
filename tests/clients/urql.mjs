// urql with the Accept header of its own choice, which names text/event-stream too: queries must still be JSON.
// Its argument is JSON: {url, wsUrl, token, readerToken, hood, permitId}; it prints one JSON value.
import assert from "node:assert/strict";
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";

const { url, wsUrl, token, readerToken, hood, permitId } = JSON.parse(process.argv[2]);
const told = { exchanges: [] };

// Leaving a stream, urql aborts its fetch and handles not all of the promises that this rejects.
process.on("unhandledRejection", (error) => {
  if (error.name !== "AbortError") throw error;
});

// fetch, and a note of what was asked and answered.
async function noting(address, options) {
  const answer = await fetch(address, options);
  const { accept } = options.headers;
  told.exchanges.push({ accept, status: answer.status, type: answer.headers.get("Content-Type") });
  return answer;
}

// Subscriptions go over a WebSocket, or with `bySse` over fetch as server-sent events.
function connect(bearer, bySse = false) {
  const headers = { Authorization: `Bearer ${bearer}` };
  const socket = createClient({ url: wsUrl, connectionParams: headers, retryAttempts: 0 });
  const forward = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  });
  return new Client({
    url,
    fetch: noting,
    fetchOptions: { headers },
    preferGetMethod: false,
    fetchSubscriptions: bySse,
    exchanges: [cacheExchange, fetchExchange, ...(bySse ? [] : [subscriptionExchange({ forwardSubscription: forward })])],
  });
}

const PAGE = gql`
  query ($hood: String!, $after: String) {
    permits(filter: { neighborhood: { eq: $hood } }, orderBy: [{ permitId: ASC }], first: 10, after: $after) {
      nodes { id permitId }
      pageInfo { endCursor hasNextPage }
    }
  }`;
const INGEST = gql`
  mutation ($events: [PermitEventInput!]!) {
    ingestPermitEvents(events: $events) { accepted duplicates rejected }
  }`;
const FOLLOW = gql`
  subscription ($id: ID = "none", $after: String) {
    permitEvents(filter: { permitIds: [$id] }, after: $after) { cursor event { eventId } permit { status } }
  }`;

const status = (number) => ({
  eventId: `${permitId}-${number}`,
  permitId,
  eventType: "STATUS_CHANGE",
  timestamp: `2024-05-01T10:00:0${number}Z`,
  eventData: { newStatus: `status ${number}` },
});

const client = connect(token);
const ingest = (events, by = client) => by.mutation(INGEST, { events }).toPromise();

told.pages = [];
for (let after, more = true; more; ) {
  const { data, error } = await client.query(PAGE, { hood, after }).toPromise();
  assert.ifError(error);
  told.pages.push(...data.permits.nodes.map((node) => node.permitId));
  ({ endCursor: after, hasNextPage: more } = data.permits.pageInfo);
}
assert.ok((await client.query(PAGE, { hood }).toPromise()).operation.context.meta.cacheOutcome === "hit");

told.ingested = (await ingest([status(0)])).data.ingestPermitEvents;

const follow = (variables, by = client, number = 1) =>
  new Promise((resolve, reject) => {
    const found = [];
    const following = by.subscription(FOLLOW, variables).subscribe(({ data, error }) => {
      if (error) return reject(error);
      found.push(data.permitEvents);
      if (found.length < number) return;
      following.unsubscribe();
      resolve(found);
    });
  });
const [first] = await follow({ id: permitId, after: "earliest" });
const live = follow({ id: permitId, after: first.cursor }, client, 2);
const streamed = follow({ id: permitId, after: first.cursor }, connect(token, true), 2);
await ingest([status(1), status(2)]);
told.followed = [first, ...(await live)];
told.streamed = [first, ...(await streamed)];

// Failures: urql wraps what the server said, and shows its message behind "[GraphQL]".
function failure({ error }) {
  assert.ok(error, "it did not fail");
  assert.equal(error.networkError, undefined, String(error));
  const [{ message, extensions }] = error.graphQLErrors;
  assert.equal(error.message, `[GraphQL] ${message}`);
  return { message, code: extensions.code };
}
const query = (text, by = client) => by.query(gql(text), {}).toPromise();
const tooMuch = `{ ${[...Array(51).keys()].map((number) => `alias${number}: permits { totalCount }`).join(" ")} }`;
told.failures = {
  wrongToken: failure(await query("{ permits { totalCount } }", connect("wrong"))),
  refused: failure(await query(tooMuch)),
  invalid: failure(await query("{ permits { noSuchField } }")),
  outOfRange: failure(await query("{ permits(first: 1001) { totalCount } }")),
  forbidden: failure(await ingest([status(4)], connect(readerToken))),
  nothingValid: failure(await ingest([{ ...status(5), eventData: {} }])),
  notACursor: failure({ error: await follow({ after: "nowhere" }).catch((error) => error) }),
  notACursorStreamed: failure({ error: await follow({ after: "nowhere" }, connect(token, true)).catch((error) => error) }),
};
const closed = await follow({}, connect("wrong")).catch((error) => error);
told.closed = closed.networkError?.reason;

process.stdout.write(`${JSON.stringify(told)}\n`);
process.exit(0); // sockets are still open
