// The frame around the pages: navigation, language, key; and which page is shown.

import { AUTHORIZATION, CHAT_AUTHORIZATION } from './api.js';
import { fill, h, svg } from './dom.js';
import { LANGUAGES, choose, language, load, t } from './i18n.js';
import { close, hasEdits } from './panel.js';
import { forget, key, onKey } from './session.js';
import * as chat from './chat.js';
import * as documents from './documents.js';
import * as health from './health.js';
import * as imports from './imports.js';
import * as keys from './keys.js';
import * as search from './search.js';
import * as sources from './sources.js';
import * as tenants from './tenants.js';

/** Each page has `show(main, parameters)`, which may answer a function to call when it is left. */
const PAGES = { search, chat, documents, imports, sources, keys, tenants, health };

const main = document.getElementById('main');
let leave = null;

/** The page and its parameters, as the part of the address after `#` says: `#/search?q=…`. It never reaches a server. */
function place() {
  const [path, ...query] = location.hash.replace(/^#\/?/, '').split('?');
  // A question mark may be part of the question.
  return [Object.hasOwn(PAGES, path) ? path : 'search', new URLSearchParams(query.join('?'))];
}

function show(moved) {
  leave?.();
  // What is being written stays open beside another page.
  if (!hasEdits()) close();
  const [name, parameters] = place();
  frame(name);
  document.title = `${t(`page.${name}`)} · Rappel`;
  fill(main);
  // A browser has no AWS credentials to sign requests with. The chat may take tokens nevertheless, and says if not.
  const isUsable = AUTHORIZATION !== 'iam' || (name === 'chat' && CHAT_AUTHORIZATION !== 'iam');
  leave = isUsable ? PAGES[name].show(main, parameters) : unusable();
  // Whoever cannot see the page is led to its beginning.
  if (moved) main.focus();
}

function unusable() {
  main.append(
    h('h1', {}, t('iam.title')),
    h('p', {}, t('iam.why')),
    h('ul', {}, ['iam.laptop', 'iam.jwt', 'iam.open'].map((way) => h('li', {}, t(way)))),
    CHAT_AUTHORIZATION === 'iam' ? '' : h('p', {}, h('a', { href: '#/chat' }, t('iam.chat'))));
}

function frame(current) {
  fill(document.getElementById('top'),
    h('a', { class: 'skip', href: '#main', onclick: skip }, t('skip')),
    h('a', { class: 'brand', href: '#/search' }, logo(), 'Rappel'),
    h('nav', { 'aria-label': t('pages') }, Object.keys(PAGES).map((name) =>
      h('a', { href: `#/${name}`, 'aria-current': name === current && 'page' }, t(`page.${name}`)))),
    h('div', { class: 'tools' },
      key() && h('button', { type: 'button', class: 'quiet', onclick: forget }, t('key.forget')),
      Object.entries(LANGUAGES).map(([code, name]) => code !== language &&
        h('button', { type: 'button', class: 'quiet', lang: code, onclick: () => switchTo(code) }, name))));
}

function skip(event) {
  event.preventDefault();
  main.focus();
}

function logo() {
  return svg('svg', { viewBox: '0 0 32 32', class: 'logo', 'aria-hidden': 'true' },
    svg('rect', { width: 32, height: 32, rx: 8 }),
    svg('circle', { cx: 14, cy: 14, r: 6.5 }),
    svg('path', { d: 'm19 19 6 6' }));
}

async function switchTo(code) {
  try {
    await choose(code);
  } catch {
    // Since a deploy there are no words of this page's version any more; the choice is kept.
    return location.reload();
  }
  show(false);
}

await load();
onKey(() => frame(place()[0]));
addEventListener('hashchange', () => show(true));
show(false);
