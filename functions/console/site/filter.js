// Filters: metadata that documents must have.

import { h } from './dom.js';
import { t } from './i18n.js';

/** The filter that a text is, `{}` of an empty one; null if it is not a JSON object. */
export function parsedFilter(text) {
  if (!text.trim()) return {};
  try {
    const filter = JSON.parse(text);
    return filter && typeof filter === 'object' && !Array.isArray(filter) ? filter : null;
  } catch {
    return null;
  }
}

/** A key of metadata as a filter has it, where a dot leads into an object and a dollar sign begins an operator. */
function filterKey(name) {
  return name.replace(/[\\.]/g, '\\$&').replace(/^\$/, '\\$$');
}

/** A button for each condition, which takes it away. */
export function filterChips(filter, change) {
  return Object.entries(filter).map(([name, value]) => {
    const words = `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
    const { [name]: gone, ...rest } = filter;
    return h('button', { type: 'button', class: 'chip on', 'aria-label': t('filter.remove', { words }), onclick: () => change(rest) }, words, ' ×');
  });
}

/** The metadata of a document: a button for each plain value if `narrow` may be called with it, else words. */
export function metadataChips(metadata, narrow) {
  return Object.entries(metadata).map(([name, value]) => {
    const isPlain = value === null || typeof value !== 'object';
    const words = `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
    return narrow && isPlain
      ? h('button', { type: 'button', class: 'chip', title: t('filter.add'), onclick: () => narrow({ [filterKey(name)]: value }) }, words)
      : h('span', { class: 'chip' }, words);
  });
}
