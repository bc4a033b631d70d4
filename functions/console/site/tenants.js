// The tenants: what each has, its limits, and its removal.

import { call } from './api.js';
import { confirmed, fill, h, labelled, say } from './dom.js';
import { number, t, when } from './i18n.js';
import { problemBox } from './problem.js';

/** How often a tenant that is being removed is looked at; each look counts its documents. */
const PERIOD = 2000;
/** The limits and their greatest values. */
const LIMITS = { requests_per_minute: 1_000_000, max_documents: 1_000_000_000 };

const path = (id) => `/tenants/${encodeURIComponent(id)}`;
const isBeingRemoved = (removal) => Boolean(removal?.requested_at && !removal.finished_at);

export function show(main) {
  const stop = new AbortController();
  const { signal } = stop;
  const cards = new Map();
  const list = h('div', { class: 'imports' });
  const box = h('div', {});
  const more = h('button', { type: 'button', onclick: () => look(next) }, t('tenants.more'));
  // Whoever may not list the tenants sees their own.
  const ask = (method, address, options) => call(method, address, { signal, asks: false, ...options });
  let next = null;
  let operates = true;

  const look = async (cursor) => {
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : '';
    try {
      const page = await ask('GET', `/tenants${query}`);
      next = page.next_cursor;
      fill(box, !page.tenants.length && !cards.size && h('p', { class: 'empty' }, t('tenants.empty')));
      const added = page.tenants.map(({ id, documents, removal_requested_at, removal_finished_at }) =>
        card(id).update({ documents, removal: { requested_at: removal_requested_at, finished_at: removal_finished_at } }));
      if (cursor) added[0]?.focus();
      more.hidden = !next;
    } catch (error) {
      if (signal.aborted) return;
      operates = error.status !== 403;
      fill(box, operates ? problemBox(error, () => look(cursor)) : h('p', { class: 'notice' }, t('tenants.own')));
    }
  };
  const card = (id) => {
    if (!cards.has(id)) {
      cards.set(id, tenantCard(id, ask, operates));
      list.append(cards.get(id).element);
    }
    return cards.get(id);
  };
  const open = async (event) => {
    event.preventDefault();
    const id = name.value.trim();
    if (!id) return;
    fill(box);
    try {
      // The tenant of a name that has no documents yet can be limited too.
      const tenant = await ask('GET', path(id));
      card(id).update(tenant);
      card(id).open();
      name.value = '';
    } catch (error) {
      if (!signal.aborted) fill(box, problemBox(error));
    }
  };
  const follow = () => {
    // Nobody sees a page in the background.
    if (!document.hidden) for (const each of cards.values()) each.follow();
  };
  const name = h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false' });
  const form = h('form', { class: 'with-button', onsubmit: open },
    labelled(t('tenants.name'), name), h('button', {}, t('tenants.open')));
  main.append(h('h1', {}, t('page.tenants')), h('p', {}, t('tenants.what')), form, box, list, more);
  more.hidden = true;
  look();
  const timer = setInterval(follow, PERIOD);
  return () => {
    clearInterval(timer);
    stop.abort();
  };
}

/** A card of a tenant, whose fields stay while its figures change. `ask` sends a request until the page is left. */
function tenantCard(id, ask, operates) {
  const state = h('span', { role: 'status' });
  const documents = h('p', { class: 'summary' });
  const facts = h('dl', { class: 'facts' });
  const box = h('div', {});
  const fields = Object.fromEntries(Object.entries(LIMITS).map(([name, max]) =>
    [name, h('input', { type: 'number', min: 1, max, step: 1, placeholder: t('tenants.unlimited') })]));
  // A save replaces both limits, so they have to be known first.
  const limits = h('fieldset', { class: 'stack', 'aria-label': t('tenants.limits.of', { name: id }), disabled: true },
    h('div', { class: 'fields' }, Object.entries(fields).map(([name, field]) => labelled(t(`tenants.${name}`), field))),
    operates && h('div', { class: 'row end' },
      h('button', { type: 'button', class: 'danger', 'aria-label': t('tenants.remove.name', { name: id }), onclick: () => remove() }, t('tenants.remove')),
      h('button', { class: 'primary', 'aria-label': t('tenants.save.name', { name: id }) }, t('save'))));
  let removal = null;
  let isFollowed = false;

  /** Sends a request, and shows the tenant that it answers; whether it was answered. */
  const exchange = async (method, options) => {
    try {
      update(await ask(method, path(id), options));
      fill(box);
      return true;
    } catch (error) {
      if (error.name !== 'AbortError') fill(box, problemBox(error, method === 'GET' ? read : null));
      return false;
    }
  };
  const read = () => exchange('GET');
  const save = async (event) => {
    event.preventDefault();
    const given = Object.entries(fields).filter(([, field]) => field.value !== '');
    const body = Object.fromEntries(given.map(([name, field]) => [name, Number(field.value)]));
    if (!(await exchange('PUT', { body }))) return;
    say(t('tenants.saved', { name: id }));
    fill(box, h('p', { class: 'summary' }, t('tenants.saved', { name: id })));
  };
  const remove = async () => {
    if (await confirmed(t('tenants.sure', { name: id }), t('tenants.remove'), t('cancel'))) await exchange('DELETE');
  };
  const details = h('details', { class: 'options', ontoggle: () => { if (details.open) read(); } },
    h('summary', { 'aria-label': t('tenants.limits.of', { name: id }) }, t('tenants.limits')),
    h('div', { class: 'stack' }, facts, h('form', { onsubmit: save }, limits), box));
  /** Shows what a list or an answer says of the tenant; only an answer has chunks, bytes and limits. */
  const update = (tenant) => {
    removal = tenant.removal;
    fill(documents, t('tenants.count', { n: tenant.documents }));
    state.className = isBeingRemoved(removal) ? 'state removing' : 'summary';
    fill(state, isBeingRemoved(removal) ? t('tenants.removing') : removal?.finished_at && t('tenants.removed', { time: when(removal.finished_at) }));
    if (tenant.limits) {
      fill(facts, ['documents', 'chunks', 'bytes'].map((name) =>
        h('div', { class: name }, h('dt', {}, t(`tenants.${name}`)), h('dd', {}, number(tenant[name])))));
      // What is being typed stays.
      if (!limits.contains(document.activeElement)) for (const [name, field] of Object.entries(fields)) field.value = tenant.limits[name] ?? '';
      limits.disabled = !operates;
    }
    return title;
  };
  const follow = async () => {
    if (isFollowed || !isBeingRemoved(removal)) return;
    isFollowed = true;
    await read();
    isFollowed = false;
  };
  const title = h('h2', { tabindex: -1 }, id || t('tenants.none'));
  const element = h('article', { class: 'card tenant-card' },
    h('div', { class: 'row between' }, title, state), documents,
    // What has no tenant has no limits of one, and is not removed as a whole.
    id !== '' && details);
  const open = () => {
    details.open = true;
    title.scrollIntoView();
    title.focus();
  };
  return { element, update, follow, open };
}
