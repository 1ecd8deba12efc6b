// Follows permit events with an EventSource: reconnects and resumes all by itself; prints one JSON value a line.
// Its argument is JSON: {url, token, query, variables}. The package is the browser's EventSource, but that it lets
// fetch be given, and with it a header: the only way to sign in.
import { EventSource } from "eventsource";

const { url, token, query, variables } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const asked = new URL(url);
asked.searchParams.set("query", query);
asked.searchParams.set("variables", JSON.stringify(variables));

const source = new EventSource(asked, {
  fetch: (input, init) =>
    fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } }),
});

source.addEventListener("open", () => tell({ open: true }));
source.addEventListener("next", ({ data, lastEventId }) => tell({ next: JSON.parse(data), id: lastEventId }));
source.addEventListener("complete", () => tell({ complete: true }));
source.addEventListener("error", ({ code }) => {
  if (source.readyState === EventSource.CLOSED) tell({ failed: code ?? null });
});
