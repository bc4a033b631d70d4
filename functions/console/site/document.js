// One document in the panel: read, edit, delete.

import { call, documentPath } from './api.js';
import { confirmed, fill, h, labelled, link, say } from './dom.js';
import { metadataChips } from './filter.js';
import { t, when } from './i18n.js';
import { close, open, reveal } from './panel.js';
import { problemBox } from './problem.js';

/** Whoever lists documents is told of a change. */
const changed = () => dispatchEvent(new Event('documents'));

/** Opens a document; a passage of it is marked. */
export async function openDocument(id, passage) {
  const box = h('div', {}, h('p', { class: 'summary' }, t('loading')));
  open(id, box);
  try {
    const document = await call('GET', documentPath(id));
    if (box.isConnected) read(document, passage);
  } catch (error) {
    fill(box, problemBox(error, () => openDocument(id, passage)));
  }
}

/** Opens a source of a chat, which is a passage with a way to its document. */
export function openSource(source) {
  open(`[${source.number}] ${source.title || source.document_id}`,
    source.heading && h('p', { class: 'heading' }, source.heading),
    h('blockquote', { class: 'content' }, source.content),
    h('div', { class: 'chips' }, metadataChips(source.metadata ?? {})),
    h('button', { type: 'button', onclick: () => openDocument(source.document_id, source.content) }, t('document.whole')));
}

/** Opens an empty form for a new document. */
export function openNew() {
  open(t('document.new'), form({ id: '', title: '', content: '', metadata: {} }, true));
}

function read(document, passage) {
  const box = h('div', {});
  const address = ['url', 'source_url', 'link'].map((name) => document.metadata[name]).find((value) => typeof value === 'string');
  open(document.title || document.id,
    h('p', { class: 'summary' }, h('code', {}, document.id), ' · ', t('document.chunks', { n: document.chunks }), ' · ',
      t('document.changed', { time: when(document.updated_at) })),
    address && h('p', {}, link(address)),
    h('div', { class: 'chips' }, metadataChips(document.metadata)),
    h('div', { class: 'row' },
      h('button', { type: 'button', class: 'edit', onclick: () => open(t('document.edit'), form(document, false)) }, t('edit')),
      h('button', { type: 'button', class: 'danger', onclick: () => remove(document, box) }, t('delete'))),
    box, content(document.content, passage));
  const marked = window.document.querySelector('#panel mark');
  if (marked) reveal(marked);
}

/** The text, with the passage marked if it is found as it stands. */
function content(text, passage) {
  const at = passage ? text.indexOf(passage) : -1;
  if (at < 0) return h('div', { class: 'content' }, text);
  return h('div', { class: 'content' }, text.slice(0, at), h('mark', {}, passage), text.slice(at + passage.length));
}

async function remove(document, box) {
  if (!(await confirmed(t('document.delete', { title: document.title || document.id }), t('delete'), t('cancel')))) return;
  try {
    await call('DELETE', documentPath(document.id));
    close();
    say(t('document.deleted'));
    changed();
  } catch (error) {
    fill(box, problemBox(error));
  }
}

function form(document, isNew) {
  const id = h('input', { type: 'text', spellcheck: 'false', autocomplete: 'off' });
  const title = h('input', { type: 'text', maxlength: 1000, autocomplete: 'off' });
  const text = h('textarea', { rows: 14, required: true });
  const metadata = h('textarea', { rows: 4, spellcheck: 'false', class: 'code' });
  const box = h('div', {});
  title.value = document.title;
  text.value = document.content;
  metadata.value = JSON.stringify(document.metadata, null, 2);
  const save = async (event) => {
    event.preventDefault();
    try {
      const fields = { title: title.value, content: text.value, metadata: JSON.parse(metadata.value || '{}') };
      const stored = await store(isNew ? id.value.trim() : document.id, fields);
      say(t('document.saved'));
      changed();
      openDocument(stored);
    } catch (error) {
      fill(box, error instanceof SyntaxError ? h('p', { class: 'problem', role: 'alert' }, t('document.metadata.wrong')) : problemBox(error));
    }
  };
  return h('form', { onsubmit: save },
    isNew && labelled(t('document.id'), id, t('document.id.hint')),
    labelled(t('document.title'), title), labelled(t('document.content'), text), labelled(t('document.metadata'), metadata, t('document.metadata.hint')),
    box,
    h('div', { class: 'row end' },
      h('button', { type: 'button', onclick: () => (isNew ? close() : openDocument(document.id)) }, t('cancel')),
      h('button', { class: 'primary' }, t('save'))));
}

/** Stores a document, under an id of Rappel's own if it has none, and answers its id. */
async function store(id, fields) {
  if (id) return (await call('PUT', documentPath(id), { body: fields })).id;
  const { documents } = await call('POST', '/documents', { body: { documents: [fields] } });
  return documents[0].id;
}
