// Talks with /v1 by OpenAI's SDK for Node.js, and prints one object of JSON: what it read. The base URL is the argument.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv.at(-1), apiKey: "sk-anything", maxRetries: 0 });
const asked = { model: "rappel", messages: [{ role: "user", content: "Quand ferme la plage ?" }] };
const read = { models: [] };
for await (const model of client.models.list()) read.models.push(model.id);

const whole = await client.chat.completions.create(asked);
read.whole = whole.choices[0].message.content;

const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
read.streamed = "";
stream.on("content", (text) => (read.streamed += text));
const last = await stream.finalChatCompletion();
read.finish_reason = last.choices[0].finish_reason;
read.usage = last.usage.total_tokens;

const embedded = await client.embeddings.create({ model: read.models[1], input: "Bonjour" });
read.dimensions = embedded.data[0].embedding.length;

read.error = await client.models.retrieve("gpt-5").catch((error) => [error.constructor.name, error.status, error.code]);
console.log(JSON.stringify(read));
