// Send permit events, query them, follow them live, and go on after a break: nothing lost, nothing twice.
//
//   export LAKEFRONT_TOKEN=$(lakefront token | tail -1)
//   node js_client.mjs          # the tour: run it twice and see the duplicates
//   node js_client.mjs follow   # follow until Ctrl-C, over restarts of the server and of this program
//
// It needs node 22 or newer and `npm ci` in this folder. LAKEFRONT_URL names a server other than http://localhost:8000.
// What was followed is kept beside this file in js_client.jsonl: remove that when the server begins with new data.

import { appendFileSync, existsSync, readFileSync, truncateSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { createClient } from "graphql-ws";

const SERVER = (process.env.LAKEFRONT_URL ?? "http://localhost:8000").replace(/\/+$/, "");
const AUTHORIZATION = { Authorization: `Bearer ${process.env.LAKEFRONT_TOKEN ?? ""}` };
const JOURNAL = fileURLToPath(import.meta.url).replace(/\.mjs$/, ".jsonl");
const PERMIT = "EXAMPLE-JAVASCRIPT";
const FORBIDDEN = 4403; // how the server closes a socket whose token does not hold

const QUERY = `
  query ($permit: ID!) { permit(permitId: $permit) { status events { totalCount } } }`;

const FOLLOW = `
  subscription ($permit: ID!, $after: String) {
    permitEvents(filter: {permitIds: [$permit]}, after: $after, heartbeat: 30) {
      cursor
      event { eventId eventType }
      permit { status }
    }
  }`;

function exit(why) {
  console.error(why);
  process.exit(1);
}

// An event's id follows from what it is: made again, it is the same to the server, a duplicate.
const makeEvent = (eventType, timestamp, eventData = {}) => ({
  eventId: `${PERMIT}/${eventType}/${timestamp}`,
  permitId: PERMIT,
  eventType,
  timestamp,
  eventData,
});

const makeStatus = (newStatus) => makeEvent("status_change", new Date().toISOString(), { newStatus });

// POST until there is an answer. That is safe: what the server has already, it does not take in again.
async function post(path, body) {
  const headers = { ...AUTHORIZATION, "Content-Type": "application/json" };
  for (;;) {
    let wait = 1;
    try {
      const request = { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(30_000) };
      const answer = await fetch(SERVER + path, request);
      const text = await answer.text();
      if (answer.ok) return JSON.parse(text);
      if (![429, 503].includes(answer.status)) exit(`${path} answered ${answer.status}: ${text}`);
      wait = Number(answer.headers.get("Retry-After") ?? 1);
      console.log(`the server is busy (${answer.status}), again in ${wait} s`);
    } catch (error) {
      // Away, or gone before it answered: the events may be in, or not.
      console.log(`no answer (${error.cause?.message || error.cause?.code || error.message}), again in ${wait} s`);
    }
    await sleep(wait * 1000);
  }
}

// Each event gets a verdict; those that are not valid spoil nothing for their neighbours.
async function ingest(...events) {
  const report = await post("/sf-permit-events", events);
  console.log(`sent ${events.length}: ${report.accepted} accepted, ${report.duplicates} duplicates`);
  if (report.rejected) exit(`rejected: ${JSON.stringify(report.verdicts)}`);
}

async function queryPermit() {
  const { data, errors } = await post("/graphql", { query: QUERY, variables: { permit: PERMIT } });
  if (errors) exit(errors[0].message); // GraphQL tells most errors with status 200
  return data.permit;
}

// What was followed, one JSON line an event, and in the same line the cursor to go on from. One write keeps both or
// neither. A cursor in a file of its own would, after a crash between two writes, lose an event or bring it twice;
// with a database, save both in one transaction.
class Journal {
  constructor(path) {
    this.path = path;
    const raw = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    const whole = raw.subarray(0, raw.lastIndexOf("\n") + 1); // a line that a crash cut short was not saved
    if (whole.length < raw.length) truncateSync(path, whole.length);
    this.lines = whole.toString().split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  get cursor() {
    return this.lines.at(-1)?.cursor ?? "earliest";
  }

  add(message) {
    appendFileSync(this.path, `${JSON.stringify(message)}\n`);
    this.lines.push(message);
  }
}

// A dead network closes no socket: when a ping gets no pong, end the connection ourselves.
let silence;
const client = createClient({
  url: `${SERVER.replace("http", "ws")}/graphql`,
  connectionParams: AUTHORIZATION,
  retryAttempts: 0, // its own attempts would begin with the first cursor again
  keepAlive: 20_000,
  on: {
    ping: (received) => {
      if (!received) silence = setTimeout(() => client.terminate(), 10_000);
    },
    pong: (received) => {
      if (received) clearTimeout(silence);
    },
    closed: () => clearTimeout(silence),
  },
});

// All events after the cursor, for ever: when the connection breaks, it goes on where it was.
async function* subscribe(after) {
  for (;;) {
    try {
      const variables = { permit: PERMIT, after };
      for await (const { data, errors } of client.iterate({ query: FOLLOW, variables })) {
        if (errors) throw errors;
        after = data.permitEvents.cursor;
        if (data.permitEvents.event) yield data.permitEvents; // else a heartbeat: only the cursor has moved
      }
    } catch (failure) {
      if (Array.isArray(failure)) {
        const [{ message, extensions }] = failure;
        if (extensions.code !== "LAGGED") exit(message);
        after = extensions.cursor; // we were too slow; the server tells where we were
        console.log("fell behind, going on");
      } else if (failure.code === FORBIDDEN) {
        exit(failure.reason); // another try with this token would end in the same way
      } else {
        const why = failure.reason || failure.message || failure.error?.message || failure.code || "no answer";
        console.log(`not connected (${why}), trying again`);
      }
    }
    await sleep(1000);
  }
}

// Save and print every event after the journal's last; return after the event `until`.
async function follow(journal, until) {
  console.log(`following from ${journal.lines.length ? "the saved cursor" : "the earliest event"} on`);
  for await (const message of subscribe(journal.cursor)) {
    journal.add(message);
    console.log(`  ${message.event.eventType}: ${PERMIT} is ${message.permit.status}`);
    if (message.event.eventId === until) return; // leaving the loop closes the connection
  }
}

// Everything once.
async function tour(journal) {
  await ingest(
    makeEvent("permit_filed", "2024-01-15T10:30:00Z", { description: "Two more stories" }),
    makeEvent("permit_issued", "2024-03-01T09:00:00Z"),
  );

  const live = makeStatus("under review");
  const following = follow(journal, live.eventId);
  await sleep(1000); // not needed: the follower gets each event once, whether it comes before the event or after
  await ingest(live);
  await following;

  const permit = await queryPermit();
  console.log(`query: ${PERMIT} is ${permit.status} after ${permit.events.totalCount} events`);

  const missed = makeStatus("approved");
  await ingest(missed); // nobody follows now
  await follow(journal, missed.eventId);

  const lines = journal.lines.length;
  const ids = new Set(journal.lines.map((line) => line.event.eventId)).size;
  const total = (await queryPermit()).events.totalCount;
  if (lines !== ids || lines !== total) exit(`the journal has ${lines} lines of ${ids} events, the server ${total}`);
  console.log(`the journal has all ${total} events of the server, each once`);
}

await (process.argv[2] === "follow" ? follow : tour)(new Journal(JOURNAL));
