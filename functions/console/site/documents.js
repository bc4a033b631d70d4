// The documents: pages of them, one beside them, and files dropped on them.

import { call } from './api.js';
import { openDocument, openNew } from './document.js';
import { fill, h, labelled, refill, say } from './dom.js';
import { conditionsOf, filterField, joined } from './filter.js';
import { t, when } from './i18n.js';
import { problemBox } from './problem.js';
import { uploads } from './upload.js';

const PAGE = 20;
/** The orders of the list, of which the API's own is the first. */
const SORTS = ['id', '-id', '-updated_at', 'updated_at', '-created_at', 'created_at'];
const state = { conditions: [], sort: SORTS[0] };

export function show(main, parameters) {
  if (parameters.has('filter') || parameters.has('sort')) {
    state.conditions = conditionsOf(parameters.get('filter'));
    state.sort = SORTS.includes(parameters.get('sort')) ? parameters.get('sort') : SORTS[0];
  }
  let cursors = [null];
  let asked;
  const list = h('div', { tabindex: -1 });

  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    const query = new URLSearchParams();
    if (state.sort !== SORTS[0]) query.set('sort', state.sort);
    if (state.conditions.length) query.set('filter', JSON.stringify(joined(state.conditions)));
    history.replaceState(null, '', `#/documents?${query}`);
    query.set('limit', PAGE);
    if (cursors.at(-1)) query.set('cursor', cursors.at(-1));
    list.setAttribute('aria-busy', 'true');
    try {
      const page = await call('GET', `/documents?${query}`, { signal });
      if (signal.aborted) return;
      if (!page.documents.length && cursors.length > 1) {
        // The last documents of the last page are gone.
        cursors.pop();
        return ask();
      }
      refill(list, table(page));
      say(page.documents.length ? t('documents.page', { n: cursors.length }) : nothing());
    } catch (error) {
      if (signal.aborted) return;
      const isFilter = filter.refused(error);
      if (isFilter) narrowing.open = true;
      fill(list, isFilter ? h('p', { class: 'empty' }, t('search.filter')) : problemBox(error, ask));
    } finally {
      if (!signal.aborted) list.removeAttribute('aria-busy');
    }
  };
  const anew = () => {
    cursors = [null];
    ask();
  };
  const nothing = () => t(state.conditions.length ? 'documents.none' : 'documents.empty');
  const table = ({ documents, next_cursor: next, total, total_is_exact: isExact }) => {
    if (!documents.length) return h('p', { class: 'empty' }, nothing());
    const turn = (change) => () => { change(); ask(); };
    return [
      typeof total === 'number' && h('p', { class: 'summary' }, t(isExact ? 'documents.total' : 'documents.about', { n: total })),
      h('table', { class: 'list documents' },
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

  const sort = h('select', { onchange: () => { state.sort = sort.value; anew(); } },
    SORTS.map((name) => h('option', { value: name, selected: name === state.sort }, t(`sort.${name}`))));
  const filter = filterField(state.conditions, (conditions) => { state.conditions = conditions; anew(); });
  const narrowing = h('details', { class: 'options narrowing' }, h('summary', {}, t('filter.title')), h('div', { class: 'fields' }, filter.element));
  main.append(
    h('div', { class: 'row between' }, h('h1', {}, t('page.documents')),
      h('button', { type: 'button', class: 'primary', onclick: openNew }, t('document.new'))),
    uploads(),
    h('div', { class: 'row between' }, labelled(t('documents.sort'), sort), narrowing),
    filter.chips, list);
  addEventListener('documents', ask);
  ask();
  return () => {
    removeEventListener('documents', ask);
    asked?.abort();
  };
}
