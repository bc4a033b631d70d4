// One document in the panel: read, edit, delete.

import { AUTHORIZATION, Problem, call, documentPath, exchange } from './api.js';
import { confirmed, fill, h, labelled, link, say } from './dom.js';
import { metadataChips } from './filter.js';
import { number, t, when } from './i18n.js';
import { isObject, mergePatch, parse, same } from './json.js';
import { close, mayGo, open, reveal } from './panel.js';
import { problemBox } from './problem.js';

/** Documents that are listed as similar. */
const SIMILAR = 5;
/** The status of a document that is not in the state that was read. */
const CHANGED = 412;

/** Whoever lists documents is told of a change. */
const changed = () => dispatchEvent(new Event('documents'));

/** Opens a document, unless another one is being written; a passage of it is marked. */
export async function openDocument(id, passage) {
  if (await mayGo()) load(id, passage);
}

async function load(id, passage) {
  const box = h('div', {}, h('p', { class: 'summary' }, t('loading')));
  open(id, box);
  try {
    const { body, tag } = await exchange('GET', documentPath(id));
    if (box.isConnected) read(body, tag, passage);
  } catch (error) {
    fill(box, problemBox(error, () => load(id, passage)));
  }
}

/** Opens a source of a chat, which is a passage with a way to its document. */
export async function openSource(source) {
  if (!(await mayGo())) return;
  open(`[${source.number}] ${source.title || source.document_id}`,
    source.heading && h('p', { class: 'heading' }, source.heading),
    h('blockquote', { class: 'content' }, source.content),
    h('div', { class: 'chips' }, metadataChips(source.metadata ?? {})),
    // A chat with tokens may be before documents that only signed requests read.
    AUTHORIZATION !== 'iam' && h('button', { type: 'button', onclick: () => openDocument(source.document_id, source.content) }, t('document.whole')));
}

/** Opens an empty form for a new document. */
export async function openNew() {
  if (!(await mayGo())) return;
  open(t('document.new'), form({ id: '', title: '', content: '', metadata: {} }, null));
}

/** `tag` names the state that is read: only that one is changed or deleted. */
function read(document, tag, passage) {
  const box = h('div', {});
  const others = h('div', {});
  const address = ['url', 'source_url', 'link'].map((name) => document.metadata[name]).find((value) => typeof value === 'string');
  open(document.title || document.id,
    h('p', { class: 'summary' }, h('code', {}, document.id), ' · ', t('document.chunks', { n: document.chunks }), ' · ',
      t('document.changed', { time: when(document.updated_at) })),
    address && h('p', {}, link(address)),
    h('div', { class: 'chips' }, metadataChips(document.metadata)),
    h('div', { class: 'row' },
      h('button', { type: 'button', class: 'edit', onclick: () => edit(document, tag) }, t('edit')),
      h('button', { type: 'button', class: 'similar', onclick: () => similar(document.id, others) }, t('document.similar')),
      h('button', { type: 'button', class: 'danger', onclick: () => remove(document, tag, box) }, t('delete'))),
    box, others, content(document.content, passage));
  const marked = window.document.querySelector('#panel mark');
  if (marked) reveal(marked);
}

const edit = (document, tag) => open(t('document.edit'), form(document, tag));

/** The text, with the passage marked if it is found as it stands. */
function content(text, passage) {
  const at = passage ? text.indexOf(passage) : -1;
  if (at < 0) return h('div', { class: 'content' }, text);
  return h('div', { class: 'content' }, text.slice(0, at), h('mark', {}, passage), text.slice(at + passage.length));
}

/** Lists the documents that are nearest to one. */
async function similar(id, box) {
  fill(box, h('p', { class: 'summary' }, t('loading')));
  try {
    const { hits } = await call('GET', `${documentPath(id)}/similar?limit=${SIMILAR}`);
    const heading = h('h3', { tabindex: -1 }, t('document.similar'));
    fill(box, heading, hits.length === 0 && h('p', { class: 'summary' }, t('document.alone')),
      h('ol', { class: 'nearest' }, hits.map((hit) => h('li', {},
        h('button', { type: 'button', class: 'title', onclick: () => openDocument(hit.document_id, hit.content) }, hit.title || hit.document_id),
        ' ', h('small', {}, t('document.distance', { distance: number(hit.distance, 2) }))))));
    heading.focus();
  } catch (error) {
    fill(box, problemBox(error, () => similar(id, box)));
  }
}

async function remove(document, tag, box) {
  if (!(await confirmed(t('document.delete', { title: document.title || document.id }), t('delete'), t('cancel')))) return;
  try {
    await call('DELETE', documentPath(document.id), { tag });
    close();
    say(t('document.deleted'));
    changed();
  } catch (error) {
    fill(box, error.status === CHANGED
      ? staleBox(h('button', { type: 'button', onclick: () => openDocument(document.id) }, t('document.again')))
      : problemBox(error));
  }
}

/** Says that a document is not the one that was read, and what can be done. */
function staleBox(...ways) {
  return h('div', { class: 'problem stale', role: 'alert' }, h('strong', {}, t('document.stale')), ways);
}

/** A form for a document in the state of `tag`, or for a new one without. */
function form(document, tag) {
  const isNew = tag === null;
  const id = h('input', { type: 'text', spellcheck: 'false', autocomplete: 'off' });
  const title = editable(h('input', { type: 'text', autocomplete: 'off' }), document.title);
  const text = editable(h('textarea', { rows: 14, required: true }), document.content);
  const metadata = editable(h('textarea', { rows: 4, spellcheck: 'false', class: 'code' }), JSON.stringify(document.metadata, null, 2));
  const box = h('div', {});
  let isBusy = false;
  const attempt = async (work) => {
    // A second click would store a new document twice, or find the one that the first has changed.
    if (isBusy) return;
    isBusy = true;
    fill(box, h('p', { class: 'summary', role: 'status' }, t('document.saving')));
    try {
      const stored = await work({ title: title.value(), content: text.value(), metadata: objectOf(metadata.value()) });
      say(t('document.saved'));
      changed();
      // It may have been left meanwhile.
      if (box.isConnected) load(stored);
    } catch (error) {
      fill(box, error.status === CHANGED ? await conflict(document, attempt).catch(problemBox) : whatIsWrong(error));
      if (box.isConnected) reveal(box);
    } finally {
      isBusy = false;
    }
  };
  const save = (event) => {
    event.preventDefault();
    attempt((fields) => (isNew ? create(id.value.trim(), fields) : change(document, tag, fields)));
  };
  return h('form', { onsubmit: save },
    isNew && labelled(t('document.id'), id, t('document.id.hint')),
    labelled(t('document.title'), title.field), labelled(t('document.content'), text.field),
    labelled(t('document.metadata'), metadata.field, t('document.metadata.hint')),
    box,
    h('div', { class: 'row end' },
      h('button', { type: 'button', onclick: () => (isNew ? close() : load(document.id)) }, t('cancel')),
      h('button', { class: 'primary' }, t('save'))));
}

/** A field whose value is the original's while nobody edits it: fields have no carriage returns, and inputs no line breaks. */
function editable(field, original) {
  field.value = original;
  const shown = field.value;
  const isWindows = original.includes('\r\n');
  const value = () => (field.value === shown ? original : isWindows ? field.value.replaceAll('\n', '\r\n') : field.value);
  return { field, value };
}

function objectOf(text) {
  const value = parse(text.trim() || '{}');
  if (!isObject(value)) throw new SyntaxError();
  return value;
}

function whatIsWrong(error) {
  return error instanceof SyntaxError ? h('p', { class: 'problem', role: 'alert' }, t('document.metadata.wrong')) : problemBox(error);
}

/** What to do about a document that was changed since it was read: its text is shown, and the form keeps its own. */
async function conflict(document, attempt) {
  const { body: current, tag } = await exchange('GET', documentPath(document.id));
  return staleBox(
    h('p', {}, t('document.stale.advice', { time: when(current.updated_at) })),
    h('div', { class: 'row' },
      h('button', { type: 'button', onclick: () => edit(current, tag) }, t('document.again')),
      h('button', { type: 'button', class: 'danger', onclick: () => attempt((fields) => change(current, tag, fields)) }, t('document.overwrite'))),
    h('div', { class: 'content' }, current.content));
}

/** Changes a document, and answers its id. Its text changes with the whole document, the rest without embedding anything again. */
async function change(document, tag, given) {
  const fields = given.content === document.content ? given : { ...given, metadata: withoutPages(document, given) };
  const patch = patchOf(document, fields);
  const path = documentPath(document.id);
  try {
    if (!patch) await call('PUT', path, { body: fields, tag });
    else if (!isEmpty(patch)) await call('PATCH', path, { body: patch, tag });
  } catch (error) {
    if (error.status !== CHANGED) throw error;
    // A long document is stored even if API Gateway does not wait for the answer: then it is as it should be.
    const { body } = await exchange('GET', path);
    const rest = patchOf(body, fields);
    if (!rest || !isEmpty(rest)) throw error;
  }
  return document.id;
}

/** The metadata for another text: where the pages of its file begin is not true of it. */
function withoutPages(document, { metadata: { page_starts: pages, ...others } }) {
  return pages === undefined || same(pages, document.metadata.page_starts) ? others : { ...others, page_starts: pages };
}

const isEmpty = (object) => Object.keys(object).length === 0;

/** The patch that makes `fields` of a document; null if there is none. */
function patchOf(document, fields) {
  const metadata = mergePatch(document.metadata, fields.metadata);
  if (!metadata || fields.content !== document.content) return null;
  const patch = {};
  if (fields.title !== document.title) patch.title = fields.title || null;
  if (!isEmpty(metadata)) patch.metadata = metadata;
  return patch;
}

/** Stores a new document, under an id of Rappel's own if it has none, and answers its id. */
async function create(id, fields) {
  if (!id) {
    const { documents } = await call('POST', '/documents', { body: { documents: [fields] } });
    return documents[0].id;
  }
  if (await exists(id)) throw new Problem({ status: 409, title: t('document.exists'), detail: t('document.exists.advice') });
  return (await call('PUT', documentPath(id), { body: fields })).id;
}

async function exists(id) {
  try {
    await call('GET', documentPath(id));
    return true;
  } catch (error) {
    if (error.status === 404 || error.status === 422) return false;
    throw error;
  }
}
