// Generates the types of the description, compiles a search with them, and runs it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const url = process.argv[2];
const folder = mkdtempSync('client-');
const run = (program, ...more) => {
  const script = join('node_modules', ...program.split('/'));
  execFileSync(process.execPath, [script, ...more], { stdio: ['ignore', 'ignore', 'inherit'] });
};
try {
  run('openapi-typescript/bin/cli.js', `${url}/openapi.json`, '-o', join(folder, 'api.d.ts'));
  writeFileSync(join(folder, 'search.mts'), `
import createClient from 'openapi-fetch';
import type { paths } from './api.d.ts';

export async function search(baseUrl: string): Promise<string> {
  const client = createClient<paths>({ baseUrl });
  const { data, error } = await client.POST('/search', { body: { query: 'When does the beach close?', limit: 1 } });
  if (error) throw new Error(JSON.stringify(error));
  return data.hits[0].document_id;
}
`);
  run('typescript/bin/tsc', '--strict', '--target', 'es2022', '--module', 'nodenext', join(folder, 'search.mts'));
  const { search } = await import(join(process.cwd(), folder, 'search.mjs'));
  console.log(await search(url));
} finally {
  rmSync(folder, { recursive: true });
}
