// A hit of a search, and why it has its score.

import { fill, h, svg } from './dom.js';
import { metadataChips } from './filter.js';
import { number, percent, t } from './i18n.js';
import { openDocument } from './document.js';

/** Longer passages are cut until they are asked for. */
const SHORT = 420;

export function hitCard(hit, narrow) {
  const title = hit.title || hit.document_id;
  return h('article', { class: 'hit' },
    h('header', {},
      h('h2', {}, h('button', { type: 'button', class: 'title', onclick: () => openDocument(hit.document_id, hit.content) }, hit.title ? marked(hit.title, hit.highlights?.title) : title)),
      relevance(hit.relevance)),
    hit.heading && h('p', { class: 'heading' }, hit.heading),
    passage(hit.content, hit.highlights?.content),
    h('div', { class: 'chips' }, metadataChips(hit.metadata, narrow)),
    why(hit));
}

function relevance(value) {
  return h('span', { class: 'relevance', title: t('relevance.meaning') },
    t('relevance'), ' ', h('strong', {}, percent(value)), bar(value));
}

function passage(content, ranges) {
  const text = h('p', { class: 'passage', tabindex: -1 });
  if (content.length <= SHORT) {
    fill(text, marked(content, ranges));
    return text;
  }
  const blank = content.lastIndexOf(' ', SHORT);
  // No character is cut in two.
  const cut = content.slice(0, blank > 0 ? blank : SHORT).replace(/[\ud800-\udbff]$/, '');
  const more = h('button', { type: 'button', class: 'quiet', onclick: () => {
    fill(text, marked(content, ranges));
    // The button, which had the focus, is gone.
    text.focus();
  } }, t('more'));
  fill(text, marked(cut, ranges), ' … ', more);
  return text;
}

/** The pieces of a text, with the question's words marked. The ranges count characters, not the units of UTF-16. */
function marked(text, ranges = []) {
  const characters = [...text];
  const piece = (start, end) => characters.slice(start, end).join('');
  const pieces = [];
  let read = 0;
  for (const { start, end } of ranges) {
    if (start >= characters.length) break;
    pieces.push(piece(read, start), h('mark', {}, piece(start, end)));
    read = end;
  }
  return [...pieces, piece(read)];
}

/** A bar from 0 to 1; its number stands beside it. */
function bar(value, kind = '') {
  const width = 100 * Math.min(1, Math.max(0, value));
  return svg('svg', { class: `bar ${kind}`, viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' },
    svg('rect', { class: 'track', width: 100, height: 8 }), svg('rect', { class: 'part', width, height: 8 }));
}

function why(hit) {
  const { explanation } = hit;
  const similarity = 1 - hit.distance;
  const weight = explanation?.semantic_weight;
  const row = (name, value, kind, note) => h('tr', {},
    h('th', { scope: 'row' }, t(`why.${name}`), note && h('small', {}, note)), h('td', { class: 'drawn' }, bar(value, kind)),
    h('td', { class: 'number' }, number(value, 3)));
  const share = (value) => value !== undefined && t('why.weight', { weight: number(value, 2) });
  return h('details', { class: 'why' }, h('summary', {}, t('why.title', { score: number(hit.score, 3) })),
    h('table', { class: 'chart' }, h('caption', { class: 'unseen' }, t('why.caption')), h('tbody', {},
      row('similarity', similarity, 'meaning', share(weight)),
      row('coverage', hit.coverage, 'words', share(weight === undefined ? undefined : 1 - weight)),
      row('score', hit.score, 'score'),
      row('relevance', hit.relevance, 'relevant'),
      hit.rerank_score !== undefined && h('tr', {}, h('th', { scope: 'row' }, t('why.rerank')), h('td'), h('td', { class: 'number' }, number(hit.rerank_score, 2))))),
    explanation?.terms?.length > 0 && h('p', { class: 'terms' }, t('why.terms'), ' ',
      explanation.terms.map(({ term, frequency }) => [h('code', {}, term), frequency > 1 && ` ×${frequency}`, ' '])));
}
