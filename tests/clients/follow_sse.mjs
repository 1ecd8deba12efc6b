// Asks once, then follows permit events with graphql-sse, over reconnections too; prints one JSON value a line.
// Its argument is JSON: {url, token, after, permitIds}.
import { createClient } from "graphql-sse";

const { url, token, after, permitIds } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = createClient({
  url,
  headers: { Authorization: `Bearer ${token}` },
  // A subscription that broke is asked for anew below, since this client would send the old cursor again.
  retryAttempts: 0,
});

const run = (payload, next) =>
  new Promise((complete, error) => client.subscribe(payload, { next, error, complete }));

const ask = "{ permits(first: 1) { totalCount } }";

const follow = `
  subscription ($after: String, $filter: PermitEventSubscriptionFilter) {
    permitEvents(after: $after, filter: $filter, heartbeat: 1) {
      cursor event { eventId permitId } permit { permitId status }
    }
  }`;

const variables = { after, filter: permitIds ? { permitIds } : null };
const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

const followOnce = () =>
  run({ query: follow, variables }, ({ data, errors }) => {
    if (errors) return tell({ errors: errors.map(({ extensions }) => extensions.code) });
    variables.after = data.permitEvents.cursor;
    if (data.permitEvents.event) tell({ event: data.permitEvents });
    else tell({ heartbeat: data.permitEvents.cursor });
  });

try {
  await run({ query: ask }, (asked) => tell({ asked }));
  for (;;) {
    await followOnce().catch((broken) => {
      // A connection that broke is worth another try, a refusal is not.
      if (broken.response) throw broken;
    });
    await pause();
  }
} catch (failure) {
  tell({ failed: { status: failure.response?.status ?? null, reason: String(failure) } });
}
