// Would a search succeed now, part by part.

import { Problem, send } from './api.js';
import { fill, h, say } from './dom.js';
import { number, percent, t } from './i18n.js';
import { problemBox } from './problem.js';

export function show(main) {
  const asked = new AbortController();
  const box = h('div', { class: 'report' });
  const ask = async () => {
    box.setAttribute('aria-busy', 'true');
    fill(box, h('p', { class: 'summary' }, t('loading')));
    try {
      const response = await send('GET', '/health?deep=true', { signal: asked.signal });
      const health = await response.clone().json().catch(() => null);
      // A failed check is 503 with the checks.
      if (!health?.checks) throw await Problem.of(response);
      fill(box, told(health));
      say(t(`health.${health.status}`));
    } catch (error) {
      fill(box, problemBox(error, ask));
    } finally {
      box.removeAttribute('aria-busy');
    }
  };
  main.append(h('div', { class: 'row between' }, h('h1', {}, t('page.health')), h('button', { type: 'button', onclick: ask }, t('health.again'))), box);
  ask();
  return () => asked.abort();
}

function told({ status, connection, checks, index_recall: measured }) {
  return [
    h('p', { class: `verdict ${status}` }, t(`health.${status}`)),
    connection && h('p', { class: 'summary' }, t('health.connection', { pooler: connection.pooler, detail: connection.detail })),
    h('table', { class: 'list' },
      h('thead', {}, h('tr', {}, ['check', 'state', 'time', 'todo'].map((name) => h('th', { scope: 'col', class: name }, t(`health.${name}`))))),
      h('tbody', {}, checks.map((check) => h('tr', {},
        h('th', { scope: 'row', class: 'check' }, check.name),
        h('td', {}, h('span', { class: `state ${check.status}` }, t(`status.${check.status}`))),
        h('td', { class: 'number' }, check.status !== 'skipped' && t('ms', { ms: number(check.took_ms, 1) })),
        h('td', {}, check.detail ?? (check.name === 'index' && measured && recall(measured) || '')))))),
  ];
}

/** What the last measurement of the index found. With too few passages nothing is measured. */
const recall = ({ recall, effort, chunks }) => t('health.recall', { recall: percent(recall, 1), effort, n: chunks });
