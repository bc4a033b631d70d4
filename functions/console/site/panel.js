// What opens beside a page: a document, a source. On a small screen it covers the page.

import { confirmed, fill, h } from './dom.js';
import { t } from './i18n.js';

const panel = document.getElementById('panel');
const WIDE = matchMedia('(min-width: 64rem)');
let opener = null;
/** Whether something was typed into what is open. */
let isEdited = false;
let asking = null;

/** Opens the panel with this heading and content; what opened it gets the focus back. */
export function open(title, ...content) {
  if (!panel.open) opener = document.activeElement;
  isEdited = false;
  const heading = h('h2', { id: 'panel-title', tabindex: -1 }, title);
  panel.setAttribute('aria-labelledby', heading.id);
  fill(panel,
    h('div', { class: 'row between' }, heading,
      h('button', { type: 'button', class: 'quiet close', 'aria-label': t('close'), onclick: leave }, '×')),
    content);
  // Its place is made before the browser scrolls to it.
  document.body.classList.add('beside');
  if (!panel.open) {
    if (WIDE.matches) panel.show();
    else panel.showModal();
  }
  panel.scrollTop = 0;
  heading.focus({ preventScroll: true });
}

/** Scrolls the panel, and not the page, to a part of it. */
export function reveal(element) {
  panel.scrollTop += element.getBoundingClientRect().top - panel.getBoundingClientRect().top - panel.clientHeight / 3;
}

export function close() {
  if (panel.open) panel.close();
}

export const hasEdits = () => isEdited;

/** Whether something else may be shown in the panel: asks, if what was typed would be lost. */
export async function mayGo() {
  if (!isEdited) return true;
  asking ??= confirmed(t('panel.edited'), t('panel.discard'), t('cancel')).finally(() => { asking = null; });
  return asking;
}

async function leave() {
  if (await mayGo()) close();
}

panel.addEventListener('close', () => {
  document.body.classList.remove('beside');
  isEdited = false;
  fill(panel);
  if (opener?.isConnected) opener.focus();
  // A list that was drawn anew has another button by now.
  else if (document.activeElement === document.body) document.getElementById('main').focus();
  opener = null;
});
panel.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing) return;
  // A panel that covers the page would close by itself, without a question.
  event.preventDefault();
  leave();
});
// The same by a gesture, as telephones have one.
panel.addEventListener('cancel', (event) => {
  if (event.target !== panel || !isEdited) return;
  event.preventDefault();
  leave();
});
panel.addEventListener('input', () => { isEdited = true; });
addEventListener('beforeunload', (event) => { if (isEdited) event.preventDefault(); });
