// API keys, for those who may make them.

import { call } from './api.js';
import { confirmed, fill, h, labelled, refill, say } from './dom.js';
import { filterField, joined } from './filter.js';
import { t, when } from './i18n.js';
import { problemBox } from './problem.js';

const SCOPES = ['search', 'chat', 'write', 'admin'];
/** Days until a key expires; 0 is never. */
const DAYS = [30, 90, 365, 0];
const DAY = 24 * 60 * 60;

export function show(main) {
  const stop = new AbortController();
  const { signal } = stop;
  const list = h('div', { tabindex: -1 });
  const created = h('div', {});
  const wrong = h('div', {});

  /** The keys so far, and where the next page of them begins. */
  let known = [];
  let next = null;

  const look = async (after) => {
    try {
      const page = await call('GET', `/keys?${new URLSearchParams({ limit: 100, ...(after && { cursor: after }) })}`, { signal });
      // A second click, or a list that began anew meanwhile, has this page already.
      if (after && after !== next) return;
      known = after ? [...known, ...page.keys] : page.keys;
      next = page.next_cursor;
      draw();
    } catch (error) {
      if (known.length) fill(wrong, problemBox(error, () => { fill(wrong); look(after); }));
      else fill(list, problemBox(error, () => look()));
    }
  };
  const draw = () => refill(list, known.length ? table(known) : h('p', { class: 'empty' }, t('keys.empty')),
    next && h('button', { type: 'button', onclick: () => look(next) }, t('keys.more')));
  const table = (keys) => h('table', { class: 'list keys' },
    h('thead', {}, h('tr', {}, ['name', 'scopes', 'made', 'used', 'state', 'revoke'].map((name) => h('th', { scope: 'col', class: name }, t(`keys.${name}`))))),
    h('tbody', {}, keys.map((key) => h('tr', {},
      h('th', { scope: 'row' }, key.name, h('br'), h('code', {}, `${key.prefix}…`), h('br'), h('small', {}, key.id)),
      h('td', {}, key.scopes.join(', '), key.tenant && [h('br'), h('small', {}, t('keys.of', { tenant: key.tenant }))],
        key.filter && [h('br'), h('code', {}, written(key.filter))]),
      h('td', {}, when(key.created_at)),
      h('td', {}, key.last_used_at ? when(key.last_used_at) : t('keys.never')),
      h('td', {}, stateOf(key)),
      h('td', {}, !key.revoked_at && h('button', { type: 'button', class: 'danger', 'data-focus': key.id, 'aria-label': t('keys.revoke.name', { name: key.name }), onclick: () => revoke(key) }, t('keys.revoke')))))));
  const revoke = async (key) => {
    if (!(await confirmed(t('keys.sure', { name: key.name }), t('keys.revoke'), t('cancel')))) return;
    fill(wrong);
    try {
      await call('DELETE', `/keys/${encodeURIComponent(key.id)}`, { signal });
      say(t('keys.revoked'));
      // Its page of the list may not be the first.
      key.revoked_at = new Date().toISOString();
      draw();
    } catch (error) {
      fill(wrong, problemBox(error));
    }
  };
  const made = (key) => {
    // Beside earlier ones, which nobody can show again either.
    created.prepend(shownOnce(key));
    const field = created.querySelector('input');
    field.focus();
    field.select();
    look();
  };
  main.append(h('h1', {}, t('page.keys')), h('p', {}, t('keys.what')), keyForm(made, wrong, signal), wrong, created, list);
  look();
  // A key that was shown once is gone with the page.
  return () => stop.abort();
}

function stateOf({ revoked_at: revoked, expires_at: expires }) {
  if (revoked) return [h('span', { class: 'state failed' }, t('keys.state.revoked')), h('br'), h('small', {}, when(revoked))];
  if (!expires) return h('span', { class: 'state ok' }, t('keys.state.valid'));
  const isOver = new Date(expires) <= new Date();
  return [h('span', { class: `state ${isOver ? 'failed' : 'ok'}` }, t(isOver ? 'keys.state.expired' : 'keys.state.valid')), h('br'),
    h('small', {}, t('keys.until', { time: when(expires) }))];
}

/** A filter of a key, which is JSON or a text of it. */
const written = (filter) => (typeof filter === 'string' ? filter : JSON.stringify(filter));

function keyForm(made, wrong, signal) {
  const name = h('input', { type: 'text', required: true, autocomplete: 'off', placeholder: t('keys.name.example') });
  const tenant = h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false' });
  const expires = h('select', {}, DAYS.map((days) => h('option', { value: days, selected: days === 90 }, t(days ? 'keys.days' : 'keys.ever', { n: days }))));
  const scopes = SCOPES.map((scope) => h('input', { type: 'checkbox', value: scope, checked: scope === 'search' }));
  let conditions = [];
  const filter = filterField([], (all) => { conditions = all; });
  const more = h('details', { class: 'options' }, h('summary', {}, t('options')),
    h('div', { class: 'fields' }, labelled(t('keys.tenant'), tenant, t('keys.tenant.hint')), filter.element, filter.chips));
  const create = async (event) => {
    event.preventDefault();
    fill(wrong);
    // Without the condition that is typed the key would see more than is meant.
    if (!filter.complete()) {
      more.open = true;
      more.querySelector('.condition').focus();
      return;
    }
    const body = { name: name.value.trim(), scopes: scopes.filter(({ checked }) => checked).map(({ value }) => value) };
    if (tenant.value.trim()) body.tenant = tenant.value.trim();
    if (Number(expires.value)) body.expires_in = Number(expires.value) * DAY;
    if (conditions.length) body.filter = joined(conditions);
    try {
      const key = await call('POST', '/keys', { body, signal });
      name.value = '';
      made(key);
    } catch (error) {
      if (filter.refused(error)) more.open = true;
      else fill(wrong, problemBox(error));
    }
  };
  return h('form', { class: 'card', onsubmit: create },
    h('h2', {}, t('keys.new')),
    labelled(t('keys.name'), name),
    h('fieldset', { class: 'checks' }, h('legend', {}, t('keys.scopes')),
      SCOPES.map((scope, place) => h('label', { class: 'check' }, scopes[place], t(`scope.${scope}`)))),
    labelled(t('keys.expires'), expires),
    more,
    h('div', { class: 'row end' }, h('button', { class: 'primary' }, t('keys.create'))));
}

/** A key that nobody can show again. */
function shownOnce({ key, name }) {
  const field = h('input', { type: 'text', readonly: true, class: 'code', spellcheck: 'false' });
  field.value = key;
  const copy = async () => {
    field.select();
    // A page without TLS has no clipboard, but what is selected can be copied by hand.
    const isCopied = await navigator.clipboard?.writeText(key).then(() => true, () => false);
    fill(button, t(isCopied ? 'keys.copied' : 'keys.select'));
    say(t(isCopied ? 'keys.copied' : 'keys.select'));
  };
  const button = h('button', { type: 'button', class: 'primary copy', onclick: copy }, t('keys.copy'));
  return h('div', { class: 'notice created', role: 'status' },
    h('strong', {}, t('keys.once', { name })), h('div', { class: 'with-button' }, labelled(t('keys.key'), field), button));
}
