// Uses the MCP Inspector's command line as a person does, and prints one object of JSON: what it read. The URL is the argument.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const url = process.argv.at(-1);
const inspector = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
// It keeps a list of servers in the home folder.
const home = mkdtempSync(join(tmpdir(), "inspector-"));
const ask = (...options) => {
  const words = [inspector, "--cli", url, "--transport", "http", "--method", ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8", env: { ...process.env, HOME: home } });
  if (status !== 0 || stderr) throw new Error(`${options}: ${status}\n${stderr}`);
  return JSON.parse(stdout);
};

try {
  // Strict, it complains of schemas that some programs do not read.
  const tools = ask("tools/list", "--strict").tools.map((tool) => tool.name);
  const found = ask("tools/call", "--tool-name", "search", "--tool-arg", "query=Quand ferme la plage ?", "limit=1");
  const [first] = found.structuredContent.results;
  console.log(JSON.stringify({ tools, first: first.id, text: first.text }));
} finally {
  rmSync(home, { recursive: true, force: true });
}
