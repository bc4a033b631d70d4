// Facets: the values of metadata that hits can be narrowed to.

import { h } from './dom.js';
import { filterKey } from './filter.js';
import { number, t } from './i18n.js';
import { isObject, isPlain, same, words } from './json.js';

/** The API counts the values of so many keys. */
const MOST = 10;
/** Values that are shown at first. */
const SHOWN = 8;
/** A facet whose documents all have another value narrows to one; few short values are shown nevertheless. */
const FEW = 5;
const SHORT = 24;
/** Longer values are cut. */
const LONG = 40;

/** The keys of metadata that hits had so far, as filters have them. */
let known = [];

export const facetKeys = () => known;

/** Notes the keys of hits; whether there were new ones. */
export function learn(hits) {
  const counts = new Map();
  for (const { metadata } of hits) {
    for (const key of keysOf(metadata ?? {}, [])) if (!known.includes(key)) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const most = [...counts].sort(([, one], [, other]) => other - one).map(([key]) => key);
  const added = most.slice(0, MOST - known.length);
  known = [...known, ...added];
  return added.length > 0;
}

/** Takes away the keys that the API refuses; whether it refuses some. */
export function unlearn(problem) {
  const refused = (problem.errors ?? []).map(({ field }) => field.match(/^facets\[(\d+)\]/)?.[1]).filter(Boolean).map(Number);
  known = known.filter((_, place) => !refused.includes(place));
  return refused.length > 0;
}

/** The keys of metadata, those within objects too, that have plain values. */
function keysOf(metadata, before) {
  return Object.entries(metadata).flatMap(([name, value]) => {
    const names = [...before, name];
    if (isObject(value)) return keysOf(value, names);
    return name && (isPlain(value) || value.some(isPlain)) ? [filterKey(names)] : [];
  });
}

/** A group of buttons for each facet that narrows; `toggle` is called with a condition, which is in `conditions` or not. */
export function facetGroups(facets, conditions, toggle) {
  const isOn = (condition) => conditions.some((each) => same(each, condition));
  const groups = Object.entries(facets ?? {}).filter(([key, values]) =>
    values.some(({ value, count }) => count > 1 || isOn({ [key]: value }))
    || (values.length > 1 && values.length <= FEW && values.every(({ value }) => words(value).length <= SHORT)));
  return groups.map(([key, values]) => {
    const buttons = values.map(({ value, count }) => valueButton({ [key]: value }, value, count));
    const rest = buttons.splice(SHOWN);
    const more = rest.length > 0 && h('button', { type: 'button', class: 'quiet small', onclick: (event) => {
      event.target.replaceWith(...rest);
      rest[0].focus();
    } }, t('facets.more', { n: rest.length }));
    const name = h('p', { class: 'name', id: `facet-${++shown}` }, key.replace(/\\(.)/g, '$1'));
    return h('div', { class: 'facet', role: 'group', 'aria-labelledby': name.id }, name, h('div', { class: 'chips' }, buttons, more));
  });

  function valueButton(condition, value, count) {
    const text = words(value);
    return h('button', { type: 'button', class: `chip ${isOn(condition) ? 'on' : ''}`, 'aria-pressed': String(isOn(condition)), 'data-focus': JSON.stringify(condition), title: text.length > LONG && text, onclick: () => toggle(condition, isOn(condition)) },
      text.length > LONG ? `${text.slice(0, LONG)}…` : text, ' ', h('span', { class: 'count' }, number(count)));
  }
}

let shown = 0;
