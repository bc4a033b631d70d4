// Search while one types.

import { call } from './api.js';
import { fill, h, labelled, say } from './dom.js';
import { filterChips, parsedFilter } from './filter.js';
import { hitCard } from './hit.js';
import { number, t } from './i18n.js';
import { problemBox } from './problem.js';

/** How long nobody types before a question is asked. */
const PAUSE = 180;
const MODES = ['hybrid', 'semantic', 'keyword'];
/** The options of a search, with the API's defaults: what is left at these is not sent. */
const DEFAULTS = { limit: 10, passages: 1, min_relevance: 0 };

/** What is asked for, kept while other pages are shown. */
const state = { q: '', mode: 'hybrid', filter: {}, rerank: false, ...DEFAULTS };

export function show(main, parameters) {
  take(parameters);
  const results = h('section', { id: 'results', 'aria-label': t('search.results') });
  const chips = h('div', { class: 'chips' });
  let timer;
  let asked;

  const ask = async () => {
    clearTimeout(timer);
    // The answer to an older question is not wanted any more.
    asked?.abort();
    history.replaceState(null, '', `#/search?${parametersOf()}`);
    if (!state.q.trim()) return fill(results, welcome());
    asked = new AbortController();
    const { signal } = asked;
    results.setAttribute('aria-busy', 'true');
    try {
      const answer = await call('POST', '/search', { body: request(), signal });
      if (!signal.aborted) fill(results, found(answer, narrow));
    } catch (error) {
      if (!signal.aborted) fill(results, problemBox(error, ask));
    } finally {
      if (!signal.aborted) results.removeAttribute('aria-busy');
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  };
  /** Keeps to documents with this metadata too. */
  const narrow = (metadata) => {
    state.filter = { ...state.filter, ...metadata };
    filtered();
    ask();
  };
  const filtered = () => {
    fill(chips, filterChips(state.filter, (rest) => { state.filter = rest; filtered(); ask(); }));
    filterField.value = Object.keys(state.filter).length ? JSON.stringify(state.filter) : '';
  };

  const input = h('input', {
    type: 'search', name: 'q', placeholder: t('search.placeholder'), 'aria-label': t('search.question'), autocomplete: 'off', maxlength: 2000,
    oninput: () => { state.q = input.value; later(); },
  });
  input.value = state.q;
  const filterField = h('input', {
    type: 'text', placeholder: '{"language": "fr"}', spellcheck: 'false', autocomplete: 'off',
    oninput: () => {
      const filter = parsedFilter(filterField.value);
      filterField.setCustomValidity(filter ? '' : t('filter.wrong'));
      filterField.setAttribute('aria-invalid', String(!filter));
      if (!filter) return;
      state.filter = filter;
      fill(chips, filterChips(filter, (rest) => { state.filter = rest; filtered(); ask(); }));
      later();
    },
  });
  main.append(
    h('h1', { class: 'unseen' }, t('page.search')),
    h('form', { role: 'search', class: 'search', onsubmit: (event) => { event.preventDefault(); ask(); } },
      input,
      h('div', { class: 'row' }, modes(ask), options(filterField, later))),
    chips, results);
  filtered();
  input.focus();
  ask();
  return () => { clearTimeout(timer); asked?.abort(); };
}

/** The parameters of the address are those of `GET /search`. */
function take(parameters) {
  if (parameters.has('q')) state.q = parameters.get('q');
  if (MODES.includes(parameters.get('mode'))) state.mode = parameters.get('mode');
  if (parameters.has('filter')) state.filter = parsedFilter(parameters.get('filter')) ?? {};
}

function parametersOf() {
  const parameters = new URLSearchParams({ q: state.q });
  if (state.mode !== MODES[0]) parameters.set('mode', state.mode);
  if (Object.keys(state.filter).length) parameters.set('filter', JSON.stringify(state.filter));
  return parameters;
}

function request() {
  const body = { query: state.q, mode: state.mode, explain: true, highlight: true };
  for (const [name, usual] of Object.entries(DEFAULTS)) if (state[name] !== usual) body[name] = state[name];
  if (Object.keys(state.filter).length) body.filter = state.filter;
  if (state.rerank) body.rerank = true;
  return body;
}

function modes(ask) {
  return h('fieldset', { class: 'modes' }, h('legend', { class: 'unseen' }, t('search.mode')),
    MODES.map((mode) => h('label', {},
      h('input', { type: 'radio', name: 'mode', value: mode, checked: mode === state.mode, onchange: () => { state.mode = mode; ask(); } }),
      h('span', {}, t(`mode.${mode}`)))));
}

function options(filterField, later) {
  const whole = (name, most) => {
    const field = h('input', { type: 'number', min: 1, max: most, value: state[name], inputmode: 'numeric',
      oninput: () => { if (field.checkValidity() && field.value) { state[name] = Number(field.value); later(); } } });
    return labelled(t(`search.${name}`), field);
  };
  const shown = h('output', {}, number(state.min_relevance, 2));
  const least = h('input', { type: 'range', min: 0, max: 1, step: 0.05, value: state.min_relevance,
    oninput: () => { state.min_relevance = Number(least.value); shown.textContent = number(state.min_relevance, 2); later(); } });
  const rerank = h('input', { type: 'checkbox', checked: state.rerank, onchange: () => { state.rerank = rerank.checked; later(); } });
  const relevance = labelled(t('search.min_relevance'), least);
  relevance.append(shown);
  return h('details', { class: 'options' }, h('summary', {}, t('options')),
    h('div', { class: 'fields' },
      labelled(t('filter.label'), filterField, t('filter.hint')),
      relevance, whole('limit', 100), whole('passages', 10),
      h('label', { class: 'check' }, rerank, t('search.rerank'))));
}

function found(answer, narrow) {
  const { hits, took_ms: took } = answer;
  const summary = t('search.found', { n: hits.length, total: number(took.total), embed: number(took.embed), database: number(took.database) });
  say(t('search.said', { n: hits.length }));
  if (!hits.length) return h('p', { class: 'empty' }, t('search.none'));
  return [
    h('p', { class: 'summary' }, summary),
    h('ol', { class: 'hits' }, hits.map((hit) => h('li', {}, hitCard(hit, narrow)))),
  ];
}

function welcome() {
  return h('p', { class: 'empty' }, t('search.welcome'));
}
