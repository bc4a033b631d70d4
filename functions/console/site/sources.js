// The tables that are followed, as they are now.

import { call } from './api.js';
import { fill, h, say } from './dom.js';
import { number, t, when } from './i18n.js';
import { problemBox } from './problem.js';

/** How often sources are looked at that have something to do, and others: each look keeps a database awake that pauses. */
const BUSY = 1000;
const IDLE = 15_000;

const path = (name) => `/sources/${encodeURIComponent(name)}`;
/** Rows that wait for a worker; those that failed wait for another attempt. */
const isBusy = ({ state, pending, failed }) => state === 'walking' || state === 'removing' || pending > failed;

export function show(main) {
  const stop = new AbortController();
  const { signal } = stop;
  const cards = new Map();
  const list = h('div', { class: 'imports' });
  const box = h('div', {});
  let timer;

  const look = async () => {
    clearTimeout(timer);
    // Nobody sees a page in the background, which looks when it is shown again.
    if (document.hidden && cards.size) return;
    try {
      const sources = await all(signal);
      update(sources);
      // A look that began meanwhile would look for ever beside this one.
      clearTimeout(timer);
      timer = setTimeout(look, sources.some(isBusy) ? BUSY : IDLE);
    } catch (error) {
      if (!signal.aborted) fill(box, problemBox(error, look));
    }
  };
  const update = (sources) => {
    fill(box, sources.length === 0 && h('p', { class: 'empty' }, t('sources.empty'), ' ', h('code', {}, 'rappel follow')));
    const names = new Set(sources.map(({ name }) => name));
    for (const [name, card] of cards) if (!names.has(name)) { card.element.remove(); cards.delete(name); }
    for (const source of sources) {
      if (!cards.has(source.name)) {
        const card = sourceCard(source.name, look, signal);
        cards.set(source.name, card);
        list.append(card.element);
      }
      cards.get(source.name).update(source);
    }
  };
  const seen = () => { if (!document.hidden) look(); };
  document.addEventListener('visibilitychange', seen);
  main.append(h('h1', {}, t('page.sources')), h('p', {}, t('sources.what')), box, list);
  look();
  return () => {
    document.removeEventListener('visibilitychange', seen);
    clearTimeout(timer);
    stop.abort();
  };
}

/** All sources, page by page. */
async function all(signal) {
  const sources = [];
  let cursor;
  do {
    const query = new URLSearchParams({ limit: 100, ...(cursor && { cursor }) });
    const page = await call('GET', `/sources?${query}`, { signal });
    sources.push(...page.sources);
    cursor = page.next_cursor;
  } while (cursor);
  return sources;
}

/** A card of a source, whose buttons stay while its figures change. */
function sourceCard(name, look, signal) {
  const state = h('span', { class: 'state' });
  const figures = h('div', { class: 'stack' });
  const reasons = h('div', {});
  const count = h('summary', {});
  const failures = h('details', { class: 'options', ontoggle: () => { if (failures.open) list(); } }, count, reasons);
  const box = h('div', {});

  const list = async () => {
    try {
      const source = await call('GET', path(name), { signal });
      fill(reasons, h('ul', {}, (source.failures ?? []).map(({ key, reason, attempts, retry_at: retry }) => h('li', {},
        h('code', {}, key), ' ', reason, ' ', h('small', {}, t('sources.retry', { n: attempts, time: when(retry) }))))));
    } catch (error) {
      fill(reasons, problemBox(error, list));
    }
  };
  const resync = async () => {
    fill(box);
    button.disabled = true;
    try {
      update(await call('POST', `${path(name)}/resync`, { signal }));
      say(t('sources.resyncing', { name }));
      look();
    } catch (error) {
      fill(box, problemBox(error));
    } finally {
      button.disabled = false;
    }
  };
  const button = h('button', { type: 'button', class: 'resync', onclick: resync }, t('sources.resync'));
  const update = (source) => {
    state.className = `state ${source.state}`;
    fill(state, t(`sources.${source.state}`));
    fill(figures, figuresOf(source));
    fill(count, t('sources.failures', { n: source.failed }));
    failures.hidden = source.failed === 0;
    if (failures.open && !failures.hidden) list();
  };
  const element = h('article', { class: 'card source-card' },
    h('div', { class: 'row between' }, h('h2', {}, name), state), figures, failures, box, h('div', { class: 'row' }, button));
  return { element, update };
}

/** The rows of a table, which Postgres estimates for large ones; it knows nothing of a table that is new to it. */
function rowsOf({ rows, documents }) {
  if (!rows.estimated) return number(rows.total);
  return rows.total < documents ? '–' : t('about', { n: rows.total });
}

function figuresOf(source) {
  const { definition, rows, walk, failure, warnings = [], skipped } = source;
  const lag = source.lag_seconds;
  const facts = {
    rows: rowsOf(source),
    documents: number(source.documents),
    pending: number(source.pending),
    failures: number(source.failed),
    lag: lag < 60 ? t('sources.seconds', { n: number(lag, 1) }) : t('sources.minutes', { n: number(lag / 60, 1) }),
  };
  return [
    h('p', { class: 'summary' }, h('code', {}, definition.table), definition.where && [' · ', h('code', {}, definition.where)]),
    walk && h('div', { class: 'row' },
      h('progress', { max: Math.max(rows.total, walk.rows, 1), value: walk.rows, 'aria-label': t('sources.walk') }),
      h('span', { class: 'summary' }, t('sources.walked', { n: walk.rows }),
        typeof walk.seconds_left === 'number' && ` · ${t('sources.left', { n: number(walk.seconds_left) })}`)),
    h('dl', { class: 'facts' }, Object.entries(facts).map(([name, value]) => h('div', { class: name }, h('dt', {}, t(`fact.${name}`)), h('dd', {}, value)))),
    failure && h('p', { class: 'problem' }, failure),
    warnings.map((warning) => h('p', { class: 'notice' }, warning)),
    skipped && h('p', { class: 'notice' }, t('sources.skipped', { n: skipped.total })),
  ];
}
