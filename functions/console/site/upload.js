// Files that are dropped on the documents: read here, and sent in batches with POST /documents.

import { call } from './api.js';
import { fill, h, say } from './dom.js';
import { t } from './i18n.js';
import { ENDINGS, readFile } from './files.js';
import { problemBox } from './problem.js';

/** Documents of a batch, of which the API takes 100: few enough to be embedded before API Gateway gives up, after 30 s. */
const BATCH = 20;
/** Characters of a batch, for the same reason; the API takes 6 MB. */
const CHARACTERS = 200_000;
/** How often a batch is sent again that met an API that is away or busy. */
const TRIES = 5;
/** Refused documents that are listed. */
const SHOWN = 50;

/** Uploads go on while other pages are shown. */
let job = null;
let draw = () => {};

/** Where files may be dropped, with how far they are. */
export function uploads() {
  const chosen = h('input', { type: 'file', multiple: true, accept: ENDINGS.join(','), id: 'files', class: 'unseen', onchange: () => start([...chosen.files]) });
  const progress = h('div', { class: 'job' });
  const zone = h('div', { class: 'drop' },
    h('p', {}, h('label', { for: 'files', class: 'button' }, t('upload.choose')), chosen, ' ', t('upload.drop')),
    h('small', {}, t('upload.kinds')), progress);
  zone.addEventListener('dragover', () => zone.classList.add('over'));
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', (event) => {
    zone.classList.remove('over');
    start([...event.dataTransfer.files]);
  });
  draw = () => fill(progress, job && report(job));
  draw();
  return zone;
}

// A file that misses its place would be opened instead of the page.
for (const event of ['dragover', 'drop']) addEventListener(event, (dragged) => dragged.preventDefault());
// What is not sent yet is read from this page.
addEventListener('beforeunload', (event) => { if (job && !job.ended) event.preventDefault(); });

async function start(files) {
  if (!files.length || (job && !job.ended)) return;
  job = { total: 0, stored: 0, unchanged: 0, refused: [], problem: null, stop: new AbortController(), ended: false };
  const mine = job;
  draw();
  try {
    const documents = [];
    for (const file of files) await read(file, documents, mine);
    mine.total = documents.length + mine.refused.length;
    draw();
    for (const batch of batches(documents)) await send(batch, mine);
  } catch (error) {
    mine.problem = error;
  } finally {
    mine.ended = true;
    draw();
    say(t('upload.said', { stored: mine.stored, refused: mine.refused.length }));
    dispatchEvent(new Event('documents'));
  }
}

/** Reads a file's documents, each with its place; what is none is refused. */
async function read(file, documents, mine) {
  try {
    for (const { document, place, wrong } of await readFile(file)) {
      if (wrong) mine.refused.push({ place: `${file.name}:${place}`, why: t(wrong) });
      else documents.push({ document, place: `${file.name}:${place}` });
    }
  } catch (error) {
    mine.refused.push({ place: file.name, why: t(error.message) });
  }
}

function* batches(documents) {
  let batch = [];
  let characters = 0;
  for (const each of documents) {
    const { length } = JSON.stringify(each.document);
    if (batch.length && (batch.length === BATCH || characters + length > CHARACTERS)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(each);
    characters += length;
  }
  if (batch.length) yield batch;
}

/** Stores a batch. One that is refused is stored without the documents that it is refused for, a too large one in halves. */
async function send(batch, mine) {
  while (batch.length) {
    try {
      const answer = await patiently(batch, mine);
      for (const { status } of answer.documents) {
        mine.stored += 1;
        if (status === 'unchanged') mine.unchanged += 1;
      }
      draw();
      return;
    } catch (error) {
      if (error.status === 413 && batch.length > 1) {
        const half = Math.ceil(batch.length / 2);
        await send(batch.slice(0, half), mine);
        batch = batch.slice(half);
        continue;
      }
      const wrong = error.status === 413 ? new Map([[0, t('upload.large')]]) : reasons(error);
      if (!wrong.size) throw error;
      for (const [place, why] of wrong) mine.refused.push({ place: batch[place]?.place, why });
      batch = batch.filter((_, place) => !wrong.has(place));
      draw();
    }
  }
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
      const mayPass = error.status === 0 || error.status === 429 || error.status >= 502;
      if (!mayPass || tried === TRIES || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retry_after ?? tried)));
      signal.throwIfAborted();
    }
  }
}

function report({ total, stored, unchanged, refused, problem, stop, ended }) {
  const done = stored + refused.length;
  return [
    h('div', { class: 'row' },
      h('progress', { max: Math.max(total, 1), value: ended && !problem ? Math.max(total, 1) : done, 'aria-label': t('upload.progress') }),
      h('span', {}, t('upload.state', { done, total })),
      !ended && h('button', { type: 'button', class: 'quiet', onclick: () => stop.abort() }, t('chat.stop'))),
    ended && h('p', {}, t('upload.ended', { stored, unchanged, refused: refused.length })),
    problem && problemBox(problem),
    stop.signal.aborted && h('p', { class: 'notice' }, t('upload.stopped')),
    refused.length > 0 && h('details', { class: 'options', open: true }, h('summary', {}, t('upload.refused', { n: refused.length })),
      h('ul', {}, refused.slice(0, SHOWN).map(({ place, why }) => h('li', {}, h('code', {}, place), ' ', why)))),
  ];
}
