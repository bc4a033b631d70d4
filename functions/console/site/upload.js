// Files that are dropped on the documents: read here, and sent in batches with POST /documents.

import { call } from './api.js';
import { h, refill, say } from './dom.js';
import { t } from './i18n.js';
import { ENDINGS, readFile } from './files.js';
import { problemBox } from './problem.js';

/** Documents of a batch, of which the API takes 100: few enough to be embedded before API Gateway gives up, after 30 s. */
const BATCH = 20;
/** Characters of a batch, for the same reason; the API takes 6 MB. */
const CHARACTERS = 200_000;
/** How often a batch is sent again that met an API that is away or busy; the function may still store it meanwhile. */
const TRIES = 5;
/** The same of several documents of which one may be at fault. */
const TRIES_TOGETHER = 2;
/** Documents in a row at which the API failed: then they are not at fault. */
const FAILED = 3;
/** Refused documents that are listed. */
const SHOWN = 50;

/** Uploads go on while other pages are shown. */
let job = null;
let draw = () => {};

/** Where files may be dropped, with how far they are. */
export function uploads() {
  const chosen = h('input', { type: 'file', multiple: true, accept: ENDINGS.join(','), id: 'files', class: 'unseen', onchange: () => {
    start([...chosen.files]);
    // The same file may be chosen again, once it is mended.
    chosen.value = '';
  } });
  const progress = h('div', { class: 'job', tabindex: -1 });
  const zone = h('div', { class: 'drop' },
    h('p', {}, h('label', { for: 'files', class: 'button' }, t('upload.choose')), chosen, ' ', t('upload.drop')),
    h('small', {}, t('upload.kinds')), progress);
  zone.addEventListener('dragover', () => zone.classList.add('over'));
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', (event) => {
    zone.classList.remove('over');
    start([...event.dataTransfer.files]);
  });
  draw = () => refill(progress, job && report(job));
  draw();
  return zone;
}

// A file that misses its place would be opened instead of the page.
for (const event of ['dragover', 'drop']) {
  addEventListener(event, (dragged) => { if (dragged.dataTransfer?.types.includes('Files')) dragged.preventDefault(); });
}
// What is not sent yet is read from this page.
addEventListener('beforeunload', (event) => { if (job && !job.ended) event.preventDefault(); });

async function start(files) {
  if (!files.length) return;
  if (job && !job.ended) {
    job.files.push(...files);
    return draw();
  }
  job = { files, read: 0, stored: 0, unchanged: 0, refused: [], failed: 0, problem: null, stop: new AbortController(), ended: false };
  const mine = job;
  draw();
  try {
    for await (const batch of batches(mine)) await send(batch, mine);
  } catch (error) {
    mine.problem = error;
  } finally {
    mine.ended = true;
    draw();
    say(t('upload.said', { stored: mine.stored, refused: mine.refused.length }));
    dispatchEvent(new Event('documents'));
  }
}

/** Batches of the files' documents. A file is read when it is its turn: not all of them fit into memory. */
async function* batches(mine) {
  let batch = [];
  let characters = 0;
  for (;;) {
    while (mine.files.length) {
      for (const each of await read(mine.files.shift(), mine)) {
        const { length } = JSON.stringify(each.document);
        if (batch.length && (batch.length === BATCH || characters + length > CHARACTERS)) {
          yield batch;
          [batch, characters] = [[], 0];
        }
        batch.push(each);
        characters += length;
      }
    }
    if (!batch.length) return;
    yield batch;
    // There may be more files by now.
    [batch, characters] = [[], 0];
  }
}

/** A file's documents, each with its place; what is none is refused. */
async function read(file, mine) {
  mine.stop.signal.throwIfAborted();
  let found;
  try {
    found = await readFile(file);
  } catch (error) {
    mine.refused.push({ place: file.name, why: t(error.message) });
    mine.read += 1;
    draw();
    return [];
  }
  mine.read += found.length;
  const documents = found.map((each) => ({ ...each, place: `${file.name}:${each.place}` }));
  for (const { place, wrong } of documents) if (wrong) mine.refused.push({ place, why: t(wrong) });
  draw();
  return documents.filter(({ wrong }) => !wrong);
}

/** Stores a batch. One that is refused is stored without the documents that it is refused for, or in halves to find these. */
async function send(batch, mine) {
  while (batch.length) {
    try {
      const answer = await patiently(batch, mine);
      mine.failed = 0;
      for (const { status } of answer.documents) {
        mine.stored += 1;
        if (status === 'unchanged') mine.unchanged += 1;
      }
      draw();
      return;
    } catch (error) {
      const wrong = reasons(error);
      if (!wrong.size) {
        if (!isOfDocuments(error)) throw error;
        if (batch.length > 1) {
          const half = Math.ceil(batch.length / 2);
          await send(batch.slice(0, half), mine);
          batch = batch.slice(half);
          continue;
        }
        mine.failed = error.status >= 500 ? mine.failed + 1 : 0;
        if (mine.failed === FAILED) throw error;
        wrong.set(0, reasonOf(error));
      }
      for (const [place, why] of wrong) mine.refused.push({ place: batch[place]?.place, why });
      batch = batch.filter((_, place) => !wrong.has(place));
      draw();
    }
  }
}

/** Whether the API is away or busy, whatever is sent. */
const isAway = ({ status, type }) => status === 0 || status === 429 || (status === 503 && Boolean(type));

/** Whether a request may have failed because of what it has: it is not JSON for the API, is too large, takes too long, or ends the function. */
const isOfDocuments = (error) => !isAway(error) && (error.status === 400 || error.status === 413 || error.status >= 500);

function reasonOf(error) {
  if (error.status === 413) return t('upload.large');
  // Of API Gateway: it waited as long as it does.
  if (error.status === 503 || error.status === 504) return t('upload.slow');
  return error.detail ?? error.title ?? t('problem.status', { status: `${error.status}` });
}

/** Why documents of a batch are refused, by their place in it. */
function reasons(problem) {
  const wrong = new Map();
  for (const { field, detail } of problem.errors ?? []) {
    const place = field.match(/^documents\[(\d+)\]\.?(.*)$/);
    if (!place) continue;
    const said = `${place[2]} ${detail}`.trim();
    const before = wrong.get(Number(place[1]));
    wrong.set(Number(place[1]), before ? `${before}; ${said}` : said);
  }
  return wrong;
}

async function patiently(batch, mine) {
  const { signal } = mine.stop;
  for (let tried = 1; ; tried += 1) {
    try {
      return await call('POST', '/documents', { body: { documents: batch.map(({ document }) => document) }, signal });
    } catch (error) {
      // Sent again, what was stored is found unchanged.
      const mayPass = error.status === 0 || error.status === 429 || error.status >= 500;
      const tries = isAway(error) || batch.length === 1 ? TRIES : TRIES_TOGETHER;
      if (!mayPass || tried === tries || signal.aborted) throw error;
      await pause(1000 * (error.retry_after ?? tried), signal);
      signal.throwIfAborted();
    }
  }
}

/** Waits, unless it is stopped. */
const pause = (time, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, time);
  signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
});

function report({ files, read, stored, unchanged, refused, problem, stop, ended }) {
  const done = stored + refused.length;
  // A file that is not read yet has at least one document.
  const total = read + files.length;
  return [
    h('div', { class: 'row' },
      h('progress', { max: Math.max(total, 1), value: ended && !problem ? Math.max(total, 1) : done, 'aria-label': t('upload.progress') }),
      h('span', {}, t('upload.state', { done, total })),
      !ended && h('button', { type: 'button', class: 'quiet', onclick: () => stop.abort() }, t('chat.stop'))),
    ended && h('p', {}, t('upload.ended', { stored, unchanged, refused: refused.length })),
    problem && problemBox(problem),
    stop.signal.aborted && h('p', { class: 'notice' }, t('upload.stopped')),
    refused.length > 0 && h('details', { class: 'options', open: true }, h('summary', { 'data-focus': 'refused' }, t('upload.refused', { n: refused.length })),
      h('ul', {}, refused.slice(0, SHOWN).map(({ place, why }) => h('li', {}, h('code', {}, place), ' ', why)))),
  ];
}
