// Search while one types.

import { call } from './api.js';
import { fill, h, labelled, refill, say } from './dom.js';
import { facetGroups, facetKeys, learn, unlearn } from './facets.js';
import { conditionsOf, filterField, joined, withCondition, withoutCondition } from './filter.js';
import { hitCard } from './hit.js';
import { number, t } from './i18n.js';
import { problemBox } from './problem.js';

/** How long nobody types before a question is asked. */
const PAUSE = 180;
const MODES = ['hybrid', 'semantic', 'keyword'];
/** The options of a search, with the API's defaults: what is left at these is not sent. */
const DEFAULTS = { limit: 10, passages: 1, min_relevance: 0, offset: 0 };
/** The API's limits of `offset`, and of `offset` and `limit` together with reranking. */
const LAST_OFFSET = 1000;
const RERANKED = 50;

/** What is asked for, kept while other pages are shown. */
const state = { q: '', mode: 'hybrid', conditions: [], rerank: false, ...DEFAULTS };
/** Whether the filters are shown: at first where there is room. */
let isNarrowing = matchMedia('(min-width: 64rem)').matches;

export function show(main, parameters) {
  take(parameters);
  const results = h('section', { id: 'results', tabindex: -1, 'aria-label': t('search.results') });
  const facets = h('div', { class: 'facets', tabindex: -1 });
  let timer;
  let asked;

  const ask = async () => {
    clearTimeout(timer);
    // The answer to an older question is not wanted any more.
    asked?.abort();
    history.replaceState(null, '', `#/search?${parametersOf()}`);
    if (!state.q.trim()) {
      results.removeAttribute('aria-busy');
      fill(facets);
      return fill(results, welcome());
    }
    asked = new AbortController();
    const { signal } = asked;
    results.setAttribute('aria-busy', 'true');
    try {
      await search(signal);
    } catch (error) {
      if (!signal.aborted) refused(error);
    } finally {
      if (!signal.aborted) results.removeAttribute('aria-busy');
    }
  };
  const search = async (signal) => {
    const answer = await call('POST', '/search', { body: request(), signal });
    if (signal.aborted) return;
    refill(results, found(answer, narrow, turn));
    results.removeAttribute('aria-busy');
    // Facets of keys that were not known before are counted once the hits are shown.
    const counted = learn(answer.hits) ? await count(signal) : answer;
    if (!signal.aborted) refill(facets, facetGroups(counted.facets, state.conditions, toggle));
  };
  /** Counts the facets. Hits are of use without them, unless the API refuses one. */
  const count = async (signal) => {
    try {
      return await call('POST', '/search', { body: facetRequest(), signal });
    } catch (error) {
      if (signal.aborted || error.errors) throw error;
      return {};
    }
  };
  const refused = (error) => {
    if (unlearn(error)) return ask();
    const isFilter = filter.refused(error);
    if (isFilter) narrowing.open = true;
    fill(results, isFilter ? h('p', { class: 'empty' }, t('search.filter')) : problemBox(error, ask));
  };
  /** Asks from the first hit on. */
  const anew = () => {
    state.offset = 0;
    ask();
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(anew, PAUSE);
  };
  const turn = (offset) => {
    state.offset = offset;
    results.focus();
    scrollTo({ top: 0 });
    ask();
  };
  const filtered = (conditions) => {
    state.conditions = conditions;
    anew();
  };
  const toggle = (condition, isOn) => {
    const change = isOn ? withoutCondition : withCondition;
    filter.set(change(state.conditions, condition));
    filtered(change(state.conditions, condition));
  };
  /** Keeps to documents with this metadata too. */
  const narrow = (condition) => toggle(condition, false);

  const input = h('input', {
    type: 'search', name: 'q', placeholder: t('search.placeholder'), 'aria-label': t('search.question'), autocomplete: 'off',
    oninput: () => { state.q = input.value; later(); },
  });
  input.value = state.q;
  const filter = filterField(state.conditions, filtered);
  const narrowing = h('details', { class: 'options narrowing', open: isNarrowing, ontoggle: () => { isNarrowing = narrowing.open; } },
    h('summary', {}, t('filter.title')), h('div', { class: 'fields' }, facets, filter.element));
  main.append(
    h('h1', { class: 'unseen' }, t('page.search')),
    h('form', { role: 'search', class: 'search', onsubmit: (event) => { event.preventDefault(); anew(); } },
      input,
      h('div', { class: 'row' }, modes(anew), options(later), narrowing)),
    filter.chips, results);
  input.focus();
  ask();
  return () => { clearTimeout(timer); asked?.abort(); };
}

/** The parameters of the address are those of `GET /search`. */
function take(parameters) {
  // Without any, what was asked for last is shown again.
  if (!['q', 'mode', 'filter', 'offset'].some((name) => parameters.has(name))) return;
  const [mode, offset] = [parameters.get('mode'), Number(parameters.get('offset'))];
  Object.assign(state, {
    q: parameters.get('q') ?? '',
    mode: MODES.includes(mode) ? mode : MODES[0],
    conditions: conditionsOf(parameters.get('filter')),
    offset: Number.isInteger(offset) && offset > 0 && offset <= LAST_OFFSET ? offset : 0,
  });
}

function parametersOf() {
  const parameters = new URLSearchParams({ q: state.q });
  if (state.mode !== MODES[0]) parameters.set('mode', state.mode);
  if (state.conditions.length) parameters.set('filter', JSON.stringify(joined(state.conditions)));
  if (state.offset) parameters.set('offset', state.offset);
  return parameters;
}

function request() {
  const body = { query: state.q, mode: state.mode, explain: true, highlight: true };
  for (const [name, usual] of Object.entries(DEFAULTS)) if (state[name] !== usual) body[name] = state[name];
  if (state.conditions.length) body.filter = joined(state.conditions);
  if (state.rerank) body.rerank = true;
  if (facetKeys().length) body.facets = facetKeys();
  return body;
}

/** The facets of a search without its hits. */
function facetRequest() {
  const { offset, explain, highlight, rerank, ...body } = request();
  return { ...body, limit: 1, fields: [], count: 'none' };
}

function modes(ask) {
  return h('fieldset', { class: 'modes' }, h('legend', { class: 'unseen' }, t('search.mode')),
    MODES.map((mode) => h('label', {},
      h('input', { type: 'radio', name: 'mode', value: mode, checked: mode === state.mode, onchange: () => { state.mode = mode; ask(); } }),
      h('span', {}, t(`mode.${mode}`)))));
}

function options(later) {
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
      relevance, whole('limit', 100), whole('passages', 10),
      h('label', { class: 'check' }, rerank, t('search.rerank'))));
}

function found(answer, narrow, turn) {
  const { hits, took_ms: took, total } = answer;
  const summary = t('search.found', { n: hits.length, total: number(took.total), embed: number(took.embed), database: number(took.database) });
  const among = typeof total === 'number' && ` · ${t(answer.total_is_exact ? 'search.total' : 'search.about', { n: total })}`;
  say(t('search.said', { n: hits.length }));
  return [
    hits.length ? h('p', { class: 'summary' }, summary, among) : h('p', { class: 'empty' }, t(state.offset ? 'search.end' : 'search.none')),
    h('ol', { class: 'hits', start: state.offset + 1 }, hits.map((hit) => h('li', {}, hitCard(hit, narrow)))),
    turns(hits.length, turn),
  ];
}

/** Leads to the hits before and after these. */
function turns(shown, turn) {
  const { offset, limit, rerank } = state;
  const next = offset + limit;
  const hasNext = shown === limit && next <= LAST_OFFSET && (!rerank || next + limit <= RERANKED);
  if (!offset && !hasNext) return null;
  return h('nav', { class: 'row between', 'aria-label': t('search.pages') },
    h('button', { type: 'button', disabled: !offset, onclick: () => turn(Math.max(0, offset - limit)) }, t('previous')),
    h('span', { class: 'summary' }, shown > 0 && t('search.range', { first: offset + 1, last: offset + shown })),
    h('button', { type: 'button', disabled: !hasNext, onclick: () => turn(next) }, t('next')));
}

function welcome() {
  return h('p', { class: 'empty' }, t('search.welcome'));
}
