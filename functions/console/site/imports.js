// Imports of whole objects, which the API works through by itself.

import { call } from './api.js';
import { fill, h, labelled, refill } from './dom.js';
import { number, t, when } from './i18n.js';
import { tab } from './kept.js';
import { problemBox } from './problem.js';

/** How often an import that runs is looked at. */
const PERIOD = 1000;
/** The API lists no imports: those that were begun or looked at in this tab. */
const KEPT = 'rappel.imports';

const known = () => JSON.parse(tab.get(KEPT) ?? '[]');
const keep = (ids) => tab.set(KEPT, JSON.stringify(ids));

export function show(main) {
  const list = h('div', { class: 'imports' });
  const box = h('div', {});
  const watched = new Map();

  const watch = (id, first) => {
    if (watched.has(id)) return;
    const card = h('article', { class: 'card', tabindex: -1 });
    watched.set(id, null);
    list[first ? 'prepend' : 'append'](card);
    const look = async () => {
      // Nobody sees a page in the background, and each look keeps a database awake that pauses.
      if (document.hidden && card.hasChildNodes()) return watched.set(id, setTimeout(look, PERIOD));
      try {
        const state = await call('GET', `/imports/${encodeURIComponent(id)}`);
        if (!watched.has(id)) return;
        // What is being read stays open.
        const isOpen = card.querySelector('details')?.open;
        refill(card, stateOf(state, isOpen, () => forget(id, card)));
        if (state.state === 'queued' || state.state === 'running') watched.set(id, setTimeout(look, PERIOD));
        else dispatchEvent(new Event('documents'));
      } catch (error) {
        if (watched.has(id)) fill(card, h('code', {}, id), problemBox(error, look), h('button', { type: 'button', class: 'quiet', onclick: () => forget(id, card) }, t('imports.forget')));
      }
    };
    look();
  };
  const forget = (id, card) => {
    clearTimeout(watched.get(id));
    watched.delete(id);
    keep(known().filter((each) => each !== id));
    card.remove();
  };
  const add = (id) => {
    keep([id, ...known().filter((each) => each !== id)]);
    watch(id, true);
  };

  const source = h('input', { type: 'text', required: true, placeholder: 's3://bucket/documents.jsonl.gz', spellcheck: 'false', autocomplete: 'off' });
  const id = h('input', { type: 'text', required: true, spellcheck: 'false', autocomplete: 'off' });
  const begin = async (event) => {
    event.preventDefault();
    fill(box);
    try {
      add((await call('POST', '/imports', { body: { source: source.value.trim() } })).id);
      source.value = '';
    } catch (error) {
      fill(box, problemBox(error));
    }
  };
  main.append(h('h1', {}, t('page.imports')), h('p', {}, t('imports.what')),
    h('form', { class: 'line', onsubmit: begin }, labelled(t('imports.source'), source), h('button', { class: 'primary' }, t('imports.begin'))),
    h('form', { class: 'line', onsubmit: (event) => { event.preventDefault(); add(id.value.trim()); id.value = ''; } },
      labelled(t('imports.id'), id), h('button', {}, t('imports.watch'))),
    box, list);
  for (const each of known()) watch(each, false);
  return () => {
    for (const timer of watched.values()) clearTimeout(timer);
    watched.clear();
  };
}

function stateOf(state, isOpen, forget) {
  const { documents, bytes, failures } = state;
  const share = bytes.total ? bytes.done / bytes.total : 0;
  const isOver = state.state === 'done' || state.state === 'failed';
  return [
    h('div', { class: 'row between' }, h('h2', {}, state.source), h('span', { class: `state ${state.state}` }, t(`imports.${state.state}`))),
    h('progress', { max: 1, value: isOver ? 1 : share, 'aria-label': t('imports.progress') }),
    h('p', {}, t('imports.counts', { done: documents.done, unchanged: documents.unchanged, failed: documents.failed }), ' · ',
      t('imports.rate', { rate: number(state.documents_per_second, 1) }), ' · ',
      t('imports.since', { time: when(state.created_at) })),
    failures.length > 0 && h('details', { class: 'options', open: isOpen }, h('summary', { 'data-focus': 'failures' }, t('imports.failures', { n: failures.length })),
      h('ul', {}, failures.map(({ line, document_id: id, reason }) => h('li', {},
        line !== null && [t('imports.line', { line }), ' '], id !== null && [h('code', {}, id), ' '], reason)))),
    isOver && h('button', { type: 'button', class: 'quiet', onclick: forget }, t('imports.forget')),
  ];
}
