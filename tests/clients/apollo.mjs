// Apollo Client: query, normalised cache, Relay pages, mutation, subscription, and what it tells of failures.
// Its argument is JSON: {url, wsUrl, token, readerToken, hood, permitId}; it prints one JSON value.
import assert from "node:assert/strict";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import { filter, firstValueFrom } from "rxjs";

const { url, wsUrl, token, readerToken, hood, permitId } = JSON.parse(process.argv[2]);

function connect(bearer) {
  const headers = { Authorization: `Bearer ${bearer}` };
  const socket = createClient({ url: wsUrl, connectionParams: headers, retryAttempts: 0 });
  return new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      new HttpLink({ uri: url, headers }),
    ),
    cache: new InMemoryCache({
      typePolicies: { Query: { fields: { permits: relayStylePagination(["filter", "orderBy"]) } } },
    }),
  });
}

const PAGE = gql`
  query Page($hood: String!, $after: String) {
    permits(filter: { neighborhood: { eq: $hood } }, orderBy: [{ permitId: ASC }], first: 10, after: $after) {
      edges { node { id permitId status } }
      pageInfo { endCursor hasNextPage }
      totalCount
    }
  }`;
const PERMIT = gql`query Permit($id: ID!) { permit(permitId: $id) { id permitId status } }`;
const INGEST = gql`
  mutation Ingest($events: [PermitEventInput!]!) {
    ingestPermitEvents(events: $events) { accepted duplicates rejected verdicts { index eventId verdict field reason } }
  }`;
const FOLLOW = gql`
  subscription Follow($id: ID!) {
    permitEvents(filter: { permitIds: [$id] }, after: "earliest") {
      cursor
      event { id eventId }
      permit { id permitId status }
    }
  }`;

const status = (number) => ({
  eventId: `${permitId}-${number}`,
  permitId,
  eventType: "STATUS_CHANGE",
  timestamp: `2024-05-01T10:00:0${number}Z`,
  eventData: { newStatus: `status ${number}` },
});

const client = connect(token);
const told = {};

// Relay pages: each fetchMore adds its edges to what the cache has.
const pages = client.watchQuery({ query: PAGE, variables: { hood } });
const watching = pages.subscribe(() => {});
const shown = async () => (await firstValueFrom(pages.pipe(filter(({ loading }) => !loading)))).data.permits;
let { edges, pageInfo, totalCount } = await shown();
while (pageInfo.hasNextPage) {
  await pages.fetchMore({ variables: { after: pageInfo.endCursor } });
  ({ edges, pageInfo, totalCount } = await shown());
}
told.pages = edges.map(({ node }) => node.permitId);
assert.equal(told.pages.length, totalCount);

// The cache knows each object once, by its id, whichever way it came.
const [{ node: listed }] = edges;
const { data: read } = await client.query({ query: PERMIT, variables: { id: listed.permitId } });
assert.equal(read.permit.id, listed.id);
const cached = () => Object.keys(client.cache.extract()).filter((key) => key.startsWith("Permit:"));
assert.equal(cached().length, totalCount);
assert.ok(cached().includes(client.cache.identify(listed)));

// A mutation, and what a subscription delivers changes what a query shows.
const ingest = (events) => client.mutate({ mutation: INGEST, variables: { events } });
told.ingested = (await ingest([status(0)])).data.ingestPermitEvents;
const statuses = [];
await new Promise((resolve, reject) => {
  const following = client.subscribe({ query: FOLLOW, variables: { id: permitId } }).subscribe({
    async next({ data, error }) {
      if (error) return reject(error);
      statuses.push(data.permitEvents.permit.status);
      if (statuses.length === 1) {
        await client.query({ query: PERMIT, variables: { id: permitId } });
        await ingest([status(1)]);
      } else {
        following.unsubscribe();
        resolve();
      }
    },
    error: reject,
  });
});
told.statuses = statuses;
told.shown = client.readQuery({ query: PERMIT, variables: { id: permitId } }).permit.status;
assert.equal(cached().length, totalCount + 1);

told.again = (await ingest([status(0), status(1)])).data.ingestPermitEvents;
const mixed = [status(2), { ...status(3), eventData: {} }];
told.rejected = (await ingest(mixed)).data.ingestPermitEvents;

// Failures: our message and code, in the error that Apollo documents for what a server says.
async function failure(run) {
  const error = await run().then(() => assert.fail("it did not fail"), (error) => error);
  assert.ok(CombinedGraphQLErrors.is(error), `${error.name}: ${error.message}`);
  const [{ message, extensions }] = error.errors;
  assert.equal(error.message, message);
  return { message, code: extensions.code };
}
const query = (text, by = client) => by.query({ query: gql(text), fetchPolicy: "no-cache" });
const reader = connect(readerToken);
const tooMuch = `{ ${[...Array(51).keys()].map((number) => `alias${number}: permits { totalCount }`).join(" ")} }`;
told.failures = {
  wrongToken: await failure(() => query("{ permits { totalCount } }", connect("wrong"))),
  refused: await failure(() => query(tooMuch)),
  invalid: await failure(() => query("{ permits { noSuchField } }")),
  outOfRange: await failure(() => query("{ permits(first: 1001) { totalCount } }")),
  forbidden: await failure(() => reader.mutate({ mutation: INGEST, variables: { events: [status(4)] } })),
  nothingValid: await failure(() => ingest([{ ...status(5), eventData: {} }])),
};
const kept = await reader.mutate({ mutation: INGEST, variables: { events: [status(4)] }, errorPolicy: "all" });
assert.equal(kept.error.errors[0].extensions.code, "FORBIDDEN");

const follow = (by, after) =>
  new Promise((resolve, reject) => {
    const subscription = gql`subscription ($after: String) { permitEvents(after: $after) { cursor } }`;
    const next = ({ error }) => (error ? reject(error) : resolve());
    by.subscribe({ query: subscription, variables: { after } }).subscribe({ next, error: reject });
  });
told.failures.notACursor = await failure(() => follow(client, "nowhere"));
const closed = await follow(connect("wrong"), "earliest").catch((error) => error);
told.closed = closed.message;

process.stdout.write(`${JSON.stringify(told)}\n`);
watching.unsubscribe();
process.exit(0); // sockets are still open
