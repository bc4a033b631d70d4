// Requests to the API: JSON, streams of events, and problem documents as errors.

import { parseAnswer } from './json.js';
import { ask, key } from './session.js';

const page = document.documentElement.dataset;

/** Where the chat is: elsewhere on AWS, where it has an address of its own. */
export const CHAT = page.chat;

/** How the API knows who asks: `open`, `jwt`, or `iam`, which no browser can. */
export const AUTHORIZATION = page.authorization;
export const CHAT_AUTHORIZATION = page.chatAuthorization;

/** The end of the type of problem that a caller with more rights does not have. */
const FORBIDDEN = ':forbidden';

/** A request that failed: a problem document (RFC 9457), or status 0 if nobody answered. */
export class Problem extends Error {
  constructor(fields) {
    super(fields.detail ?? fields.title ?? `${fields.status}`);
    Object.assign(this, fields);
  }

  static async of(response) {
    const told = (await response.json().catch(() => null)) ?? {};
    return new Problem({
      ...told,
      // API Gateway's own refusals have a message alone.
      detail: told.detail ?? told.message ?? told.Message,
      status: response.status,
      request_id: told.request_id ?? response.headers.get('x-request-id'),
      retry_after: told.retry_after ?? (Number(response.headers.get('retry-after')) || undefined),
    });
  }

  static unreachable() {
    return new Problem({ status: 0 });
  }
}

/** The JSON of an answer, null of an empty one. */
export async function call(method, path, options) {
  return (await exchange(method, path, options)).body;
}

/** The JSON of an answer, and the tag of the document's state. With `tag` only that state of the document is changed. */
export async function exchange(method, path, options = {}) {
  const response = await send(method, path, options);
  if (!response.ok) throw await Problem.of(response);
  const text = await reading(response.text(), options.signal);
  return { body: text ? answered(text, response.status) : null, tag: response.headers.get('etag') ?? '' };
}

/** What is no JSON is of somebody between, such as a network that wants a login. */
function answered(text, status) {
  try {
    return parseAnswer(text);
  } catch {
    throw new Problem({ status, detail: text.slice(0, 200) });
  }
}

/**
 * The answer to a request, whatever its status. Asks for a key where one is wanted, and sends the request again; without
 * `asks` not for one that may do more.
 */
export async function send(method, address, { body, signal, tag, asks = true } = {}) {
  for (;;) {
    const used = key();
    const headers = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (used) headers.authorization = `Bearer ${used}`;
    if (tag) headers['if-match'] = tag;
    const sent = fetch(address, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    const response = await reading(sent, signal);
    if (response.status !== 401 && (response.status !== 403 || !asks)) return response;
    const problem = await Problem.of(response.clone());
    // No other key has more room for documents, or brings back a tenant that is being removed.
    if (problem.status === 403 && !(problem.type ?? FORBIDDEN).endsWith(FORBIDDEN)) return response;
    if (!(await ask(used, problem))) throw problem;
  }
}

/** The events of a stream: `{ name, data }`. */
export async function* events(address, body, signal) {
  const response = await send('POST', address, { body, signal });
  if (!response.ok) throw await Problem.of(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reading(reader.read(), signal);
    if (done) return;
    const blocks = (rest + value).replaceAll('\r\n', '\n').split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

function parsed(block) {
  let name = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
  }
  // Comments keep the connection open.
  return data.length ? { name, data: JSON.parse(data.join('\n')) } : null;
}

/** A promise of the network, whose failure is a problem unless the request was given up here. */
async function reading(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw Problem.unreachable();
  }
}

/** Whether an error is a request that was given up here. */
export const isAborted = (error) => error?.name === 'AbortError';

/** The path of a document. */
export const documentPath = (id) => `/documents/${encodeURIComponent(id)}`;
