// The documents: pages of them, one beside them, and files dropped on them.

import { call } from './api.js';
import { openDocument, openNew } from './document.js';
import { fill, h, labelled } from './dom.js';
import { filterChips, parsedFilter } from './filter.js';
import { t, when } from './i18n.js';
import { problemBox } from './problem.js';
import { uploads } from './upload.js';

const PAGE = 20;
const state = { filter: {} };

export function show(main) {
  let cursors = [null];
  let asked;
  const list = h('div', { 'aria-live': 'polite' });
  const chips = h('div', { class: 'chips' });

  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    const query = new URLSearchParams({ limit: PAGE });
    if (cursors.at(-1)) query.set('cursor', cursors.at(-1));
    if (Object.keys(state.filter).length) query.set('filter', JSON.stringify(state.filter));
    list.setAttribute('aria-busy', 'true');
    try {
      const page = await call('GET', `/documents?${query}`, { signal });
      if (!signal.aborted) fill(list, table(page));
    } catch (error) {
      if (!signal.aborted) fill(list, problemBox(error, ask));
    } finally {
      if (!signal.aborted) list.removeAttribute('aria-busy');
    }
  };
  const filtered = (filter) => {
    state.filter = filter;
    cursors = [null];
    fill(chips, filterChips(filter, filtered));
    ask();
  };
  const table = ({ documents, next_cursor: next }) => {
    if (!documents.length) return h('p', { class: 'empty' }, t(Object.keys(state.filter).length ? 'documents.none' : 'documents.empty'));
    const turn = (change) => () => { change(); ask(); };
    return [
      h('table', { class: 'list' },
        h('thead', {}, h('tr', {}, ['title', 'id', 'chunks', 'changed'].map((name) => h('th', { scope: 'col', class: name }, t(`documents.${name}`))))),
        h('tbody', {}, documents.map(row))),
      h('nav', { class: 'row between', 'aria-label': t('documents.pages') },
        h('button', { type: 'button', disabled: cursors.length < 2, onclick: turn(() => cursors.pop()) }, t('previous')),
        h('span', { class: 'summary' }, t('documents.page', { n: cursors.length })),
        h('button', { type: 'button', disabled: !next, onclick: turn(() => cursors.push(next)) }, t('next'))),
    ];
  };
  const row = (document) => h('tr', {},
    h('td', { class: 'title' }, h('button', { type: 'button', class: 'title', onclick: () => openDocument(document.id) }, document.title || document.id)),
    h('td', { class: 'id' }, h('code', {}, document.id)),
    h('td', { class: 'chunks' }, document.chunks),
    h('td', { class: 'changed' }, when(document.updated_at)));

  const filter = h('input', { type: 'text', spellcheck: 'false', autocomplete: 'off', placeholder: '{"language": "fr"}', onchange: () => {
    const read = parsedFilter(filter.value);
    filter.setAttribute('aria-invalid', String(!read));
    if (read) filtered(read);
  } });
  main.append(
    h('div', { class: 'row between' }, h('h1', {}, t('page.documents')),
      h('button', { type: 'button', class: 'primary', onclick: openNew }, t('document.new'))),
    uploads(),
    h('details', { class: 'options' }, h('summary', {}, t('filter.title')), labelled(t('filter.label'), filter, t('filter.hint'))),
    chips, list);
  addEventListener('documents', ask);
  filtered(state.filter);
  return () => {
    removeEventListener('documents', ask);
    asked?.abort();
  };
}
