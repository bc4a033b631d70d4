// The tenants: what each has, its limits, and its removal.

import { call } from './api.js';
import { confirmed, fill, h, labelled, say } from './dom.js';
import { number, t, when } from './i18n.js';
import { problemBox } from './problem.js';

/** How often tenants are listed while one is being removed. */
const PERIOD = 1000;
/** The limits and their greatest values. */
const LIMITS = { requests_per_minute: 1_000_000, max_documents: 1_000_000_000 };

const path = (id) => `/tenants/${encodeURIComponent(id)}`;
const isBeingRemoved = ({ removal_requested_at: requested, removal_finished_at: finished }) => requested && !finished;

export function show(main) {
  const stop = new AbortController();
  const { signal } = stop;
  const cards = new Map();
  const list = h('div', { class: 'imports' });
  const box = h('div', {});
  const more = h('button', { type: 'button', onclick: () => look(next) }, t('tenants.more'));
  let next = null;
  let timer;

  const look = async (cursor = null) => {
    clearTimeout(timer);
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : '';
    try {
      const { tenants, next_cursor: after } = await call('GET', `/tenants${query}`, { signal });
      fill(box, !tenants.length && !cards.size && h('p', { class: 'empty' }, t('tenants.empty')));
      tenants.forEach(update);
      // What was listed by "more" stays: only the first page is looked at again.
      if (cursor || cards.size === tenants.length) next = after;
      more.hidden = !next;
      if (tenants.some(isBeingRemoved)) timer = setTimeout(look, PERIOD);
    } catch (error) {
      if (!signal.aborted) fill(box, problemBox(error, () => look(cursor)));
    }
  };
  const update = (tenant) => {
    if (!cards.has(tenant.id)) {
      cards.set(tenant.id, tenantCard(tenant.id, look, signal));
      list.append(cards.get(tenant.id).element);
    }
    cards.get(tenant.id).update(tenant);
  };
  const open = async (event) => {
    event.preventDefault();
    const id = name.value.trim();
    fill(box);
    try {
      // The tenant of a name that has no documents yet can be limited too.
      const { documents } = await call('GET', path(id), { signal });
      if (!cards.has(id)) update({ id, documents });
      cards.get(id).open();
      name.value = '';
    } catch (error) {
      if (!signal.aborted) fill(box, problemBox(error));
    }
  };
  const name = h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false' });
  const form = h('form', { class: 'with-button', onsubmit: open },
    labelled(t('tenants.name'), name), h('button', {}, t('tenants.open')));
  main.append(h('h1', {}, t('page.tenants')), h('p', {}, t('tenants.what')), form, box, list, more);
  more.hidden = true;
  look();
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}

/** A card of a tenant, whose fields stay while its figures change. */
function tenantCard(id, look, signal) {
  const state = h('span', {});
  const documents = h('p', { class: 'summary' });
  const facts = h('dl', { class: 'facts' });
  const box = h('div', {});
  const fields = Object.fromEntries(Object.entries(LIMITS).map(([name, max]) =>
    [name, h('input', { type: 'number', min: 1, max, step: 1, placeholder: t('tenants.unlimited') })]));

  const read = async () => {
    try {
      told(await call('GET', path(id), { signal }));
    } catch (error) {
      if (!signal.aborted) fill(box, problemBox(error, read));
    }
  };
  const told = ({ limits, ...tenant }) => {
    fill(facts, ['documents', 'chunks', 'bytes'].map((name) =>
      h('div', { class: name }, h('dt', {}, t(`tenants.${name}`)), h('dd', {}, number(tenant[name])))));
    for (const [name, field] of Object.entries(fields)) field.value = limits[name] ?? '';
  };
  const save = async (event) => {
    event.preventDefault();
    fill(box);
    const given = Object.entries(fields).filter(([, field]) => field.value !== '');
    const body = Object.fromEntries(given.map(([name, field]) => [name, Number(field.value)]));
    try {
      told(await call('PUT', path(id), { body, signal }));
      say(t('tenants.saved', { name: id }));
      fill(box, h('p', { class: 'summary' }, t('tenants.saved', { name: id })));
    } catch (error) {
      if (!signal.aborted) fill(box, problemBox(error));
    }
  };
  const remove = async () => {
    if (!(await confirmed(t('tenants.sure', { name: id }), t('tenants.remove'), t('cancel')))) return;
    fill(box);
    try {
      await call('DELETE', path(id), { signal });
      say(t('tenants.removing'));
      await look();
    } catch (error) {
      if (!signal.aborted) fill(box, problemBox(error));
    }
  };
  const details = h('details', { class: 'options', ontoggle: () => { if (details.open) read(); } },
    h('summary', {}, t('tenants.limits')),
    h('div', { class: 'stack' }, facts,
      h('form', { class: 'stack', onsubmit: save },
        h('div', { class: 'fields' }, Object.entries(fields).map(([name, field]) => labelled(t(`tenants.${name}`), field))),
        h('div', { class: 'row end' },
          h('button', { type: 'button', class: 'danger', 'aria-label': t('tenants.remove.name', { name: id }), onclick: remove }, t('tenants.remove')),
          h('button', { class: 'primary' }, t('save')))),
      box));
  const update = (tenant) => {
    fill(documents, t('tenants.count', { n: tenant.documents }));
    const finished = tenant.removal_finished_at;
    state.className = isBeingRemoved(tenant) ? 'state removing' : 'summary';
    fill(state, isBeingRemoved(tenant) ? t('tenants.removing') : finished && t('tenants.removed', { time: when(finished) }));
  };
  const element = h('article', { class: 'card tenant-card' },
    h('div', { class: 'row between' }, h('h2', {}, id || t('tenants.none')), state), documents,
    // What has no tenant has no limits of one, and is not removed as a whole.
    id !== '' && details);
  const open = () => {
    details.open = true;
    element.scrollIntoView();
    details.querySelector('summary').focus();
  };
  return { element, update, open };
}
