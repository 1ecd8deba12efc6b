// graphql-request: a query, pages, a mutation, and failures with either media type.
// Its argument is JSON: {url, token, readerToken, hood, permitId}; it prints one JSON value.
import assert from "node:assert/strict";
import { ClientError, GraphQLClient, gql } from "graphql-request";

const { url, token, readerToken, hood, permitId } = JSON.parse(process.argv[2]);
const told = {};

const connect = (bearer, headers = {}) =>
  new GraphQLClient(url, { headers: { ...headers, Authorization: `Bearer ${bearer}` } });
const client = connect(token);

const PAGE = gql`
  query ($hood: String!, $after: String) {
    permits(filter: { neighborhood: { eq: $hood } }, orderBy: [{ permitId: ASC }], first: 10, after: $after) {
      nodes { permitId }
      pageInfo { endCursor hasNextPage }
    }
  }`;
const INGEST = gql`
  mutation ($events: [PermitEventInput!]!) {
    ingestPermitEvents(events: $events) { accepted duplicates rejected }
  }`;
const event = (members) => ({
  eventId: `${permitId}-0`,
  permitId,
  eventType: "STATUS_CHANGE",
  timestamp: "2024-05-01T10:00:00Z",
  eventData: { newStatus: "approved" },
  ...members,
});

told.pages = [];
for (let after, more = true; more; ) {
  const { permits } = await client.request(PAGE, { hood, after });
  told.pages.push(...permits.nodes.map((node) => node.permitId));
  ({ endCursor: after, hasNextPage: more } = permits.pageInfo);
}
told.ingested = (await client.request(INGEST, { events: [event()] })).ingestPermitEvents;
told.again = (await client.request(INGEST, { events: [event()] })).ingestPermitEvents;

async function failure(run) {
  const error = await run().then(() => assert.fail("it did not fail"), (error) => error);
  assert.ok(error instanceof ClientError, String(error));
  const { status, headers, errors, data } = error.response;
  const [{ message, extensions }] = errors;
  assert.ok(error.message.startsWith(message));
  return { message, code: extensions.code, status, type: headers.get("Content-Type"), hasData: data !== undefined };
}
const tooMuch = `{ ${[...Array(51).keys()].map((number) => `alias${number}: permits { totalCount }`).join(" ")} }`;

// What can go wrong, with an Accept header; null leaves it to the client.
async function failures(accept) {
  const headers = accept ? { Accept: accept } : {};
  const by = connect(token, headers);
  return {
    wrongToken: await failure(() => connect("wrong", headers).request("{ permits { totalCount } }")),
    refused: await failure(() => by.request(tooMuch)),
    invalid: await failure(() => by.request("{ permits { noSuchField } }")),
    outOfRange: await failure(() => by.request("{ permits(first: 1001) { totalCount } }")),
    forbidden: await failure(() => connect(readerToken, headers).request(INGEST, { events: [event()] })),
    nothingValid: await failure(() => by.request(INGEST, { events: [event({ eventData: {} })] })),
  };
}
told.byItself = await failures(null);
told.json = await failures("application/json");
told.graphqlJson = await failures("application/graphql-response+json");

process.stdout.write(`${JSON.stringify(told)}\n`);
