// Asks POST /chat with the clients of JavaScript and prints a line of JSON for each: its name, and the events as it reads
// them. The URL is the argument, the request is in the variable REQUEST.

import { createServer } from "node:http";
import { once } from "node:events";
import { Readable } from "node:stream";
import { EventSourceParserStream } from "eventsource-parser/stream";

const url = process.argv.at(-1);
const ask = () =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: process.env.REQUEST });
const print = (client, events) => console.log(JSON.stringify({ client, events }));

// What Vercel's AI SDK reads streams with.
async function vercel() {
  const events = [];
  const parsed = (await ask()).body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { event, data } of parsed) events.push([event ?? "message", JSON.parse(data)]);
  return events;
}

// A browser's EventSource, which only knows GET: the server here asks in its place and passes on what comes.
async function browser() {
  const server = createServer(async (_, response) => {
    const answer = await ask();
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    Readable.fromWeb(answer.body).pipe(response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const events = [];
  const source = new EventSource(`http://127.0.0.1:${server.address().port}/`);
  const lost = await new Promise((resolve) => {
    for (const name of ["message", "retrieval", "sources", "reasoning", "delta", "done", "failure"])
      source.addEventListener(name, ({ data }) => {
        events.push([name, JSON.parse(data)]);
        // Nothing follows, and an EventSource that is not closed would ask again.
        if (name === "done" || name === "failure") resolve(false);
      });
    source.onerror = () => resolve(true);
  });
  source.close();
  server.close();
  server.closeAllConnections();
  if (lost) events.push(["lost", null]);
  return events;
}

print("vercel", await vercel());
print("browser", await browser());
