// The key or token: asked for when the API wants one, and kept as long as this tab is open.

import { h } from './dom.js';
import { t } from './i18n.js';
import { tab } from './kept.js';

const KEPT = 'rappel.key';

export const key = () => tab.get(KEPT);

export function forget() {
  tab.remove(KEPT);
  changed();
}

let changed = () => {};

/** Calls `listener` whenever there is a key, or none any more. */
export function onKey(listener) {
  changed = listener;
}

let asking = null;

/** What a header can hold, after the scheme, which many copy too. */
const FORM = '\\s*([Bb]earer\\s+)?[\\x21-\\x7e]+\\s*';

/** Asks for a key in place of the one that was refused with a problem; whether the request should be sent again. */
export async function ask(refused, problem) {
  // Another request has asked meanwhile.
  if (key() !== refused) return true;
  asking ??= dialog(refused, problem).finally(() => { asking = null; });
  return asking;
}

function dialog(refused, { status, type, detail }) {
  const field = h('input', {
    type: 'password', id: 'key', required: true, autofocus: true, autocomplete: 'off', spellcheck: 'false',
    'aria-describedby': 'key-why', pattern: FORM, title: t('key.form'),
  });
  const why = !refused ? 'key.wanted' : status === 403 ? 'key.forbidden' : 'key.refused';
  const box = h('dialog', { class: 'ask', 'aria-labelledby': 'key-title' },
    h('form', { method: 'dialog' },
      h('h2', { id: 'key-title' }, t('key.title')),
      h('p', { id: 'key-why' }, t(why)),
      // API Gateway's own refusals say no more.
      refused && type && h('p', { class: 'summary' }, detail),
      h('div', { class: 'field' }, h('label', { for: 'key' }, t('key.label')), field, h('small', {}, t('key.kept'))),
      h('div', { class: 'row end' },
        h('button', { type: 'button', onclick: () => box.close() }, t('cancel')),
        h('button', { class: 'primary', value: 'use' }, t('key.use')))));
  // The key is there before whoever waits for the dialog goes on.
  box.querySelector('form').addEventListener('submit', () => {
    tab.set(KEPT, field.value.trim().replace(/^bearer\s+/i, ''));
    changed();
  });
  return new Promise((resolve) => {
    box.addEventListener('close', () => {
      box.remove();
      resolve(box.returnValue === 'use');
    });
    document.body.append(box);
    box.showModal();
  });
}
