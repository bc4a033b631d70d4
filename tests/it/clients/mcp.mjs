// Uses an MCP server by the official SDK for TypeScript, and prints one object of JSON: what it read. The URL is the argument.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const client = new Client({ name: "test", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv.at(-1))));
const read = { server: client.getServerVersion().name };
read.tools = (await client.listTools()).tools.map((tool) => tool.name);
// The SDK checks results by the schemas of their tools.
const found = await client.callTool({ name: "search", arguments: { query: "Quand ferme la plage ?" } });
read.first = found.structuredContent.results[0].id;
const fetched = await client.callTool({ name: "fetch", arguments: { id: read.first } });
read.text = fetched.structuredContent.text;
const missing = await client.callTool({ name: "fetch", arguments: { id: "nobody" } });
read.error = [missing.isError, missing.content[0].text];
read.resources = (await client.listResources()).resources.length;
await client.close();
console.log(JSON.stringify(read));
