// What opens beside a page: a document, a source. On a small screen it covers the page.

import { fill, h } from './dom.js';
import { t } from './i18n.js';

const panel = document.getElementById('panel');
const WIDE = matchMedia('(min-width: 64rem)');
let opener = null;

/** Opens the panel with this heading and content; what opened it gets the focus back. */
export function open(title, ...content) {
  if (!panel.open) opener = document.activeElement;
  const heading = h('h2', { id: 'panel-title', tabindex: -1 }, title);
  panel.setAttribute('aria-labelledby', heading.id);
  fill(panel,
    h('div', { class: 'row between' }, heading,
      h('button', { type: 'button', class: 'quiet close', 'aria-label': t('close'), onclick: close }, '×')),
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

panel.addEventListener('close', () => {
  document.body.classList.remove('beside');
  fill(panel);
  if (opener?.isConnected) opener.focus();
  opener = null;
});
panel.addEventListener('keydown', (event) => {
  // A panel that covers the page closes by itself.
  if (event.key === 'Escape') close();
});
