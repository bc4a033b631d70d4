// What went wrong, in a box that says what to do.

import { isAborted } from './api.js';
import { h } from './dom.js';
import { t } from './i18n.js';

/** A box for an error, with a button to try again if `again` is given; null for a request that was given up. */
export function problemBox(error, again) {
  if (isAborted(error)) return null;
  return h('div', { class: 'problem', role: 'alert' },
    h('strong', {}, title(error)),
    advice(error),
    error.errors?.length > 0 && h('ul', {}, error.errors.map(({ field, detail }) =>
      h('li', {}, h('code', {}, field), ' ', detail))),
    error.request_id && h('small', {}, t('problem.request', { id: error.request_id })),
    again && h('button', { type: 'button', onclick: again }, t('again')));
}

function title(error) {
  if (error.status === 0) return t('problem.away');
  if (error.status === undefined) return t('problem.bug');
  if (error.status === 401 || error.status === 403) return t('problem.key');
  return error.title ?? t('problem.status', { status: `${error.status}` });
}

function advice(error) {
  if (error.status === 0) return h('p', {}, t('problem.away.advice'));
  // The fields say more.
  if (error.errors?.length > 0) return null;
  const detail = error.detail ?? (error.status === undefined ? error.message : null);
  return detail && h('p', {}, detail);
}
