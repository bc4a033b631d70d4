// Filters: conditions that documents must match, written as on the command line or in JSON.

import { fill, h } from './dom.js';
import { t } from './i18n.js';
import { isObject, isPlain, parse, same, words } from './json.js';

/** Signs of comparison and their operators; equality needs none. */
const SIGNS = { '>=': '$gte', '<=': '$lte', '!=': '$ne', '>': '$gt', '<': '$lt' };

/** The same signs as programmers and databases write them. */
const ALIASES = { '==': '=', '<>': '!=' };

/** Longer conditions are cut, and values of metadata. */
const SHORT = 60;
const LONG = 120;
/** Lists of more values are one. */
const MANY = 12;

/** The condition that a text is, such as `year>=2022` or a filter in JSON; null if it is none. */
export function conditionOf(text) {
  if (text.trim().startsWith('{')) return objectOf(text);
  const [, key, written, value] = text.match(/^(.*?)(>=|<=|!=|==|<>|>|<|=)(.*)$/s) ?? [];
  if (!key?.trim()) return null;
  const sign = ALIASES[written] ?? written;
  const operand = valueOf(value.trim());
  return { [key.trim()]: sign === '=' ? operand : { [SIGNS[sign]]: operand } };
}

function objectOf(text) {
  try {
    const filter = parse(text);
    return isObject(filter) ? filter : null;
  } catch {
    return null;
  }
}

/** A number, `true`, `false`, `null` or a text in quotation marks is meant as in JSON, any other as a text. */
function valueOf(text) {
  try {
    const value = parse(text);
    return isPlain(value) ? value : text;
  } catch {
    return text;
  }
}

/** The conditions of a filter in JSON, which all have to hold; none if it is no filter. */
export function conditionsOf(text) {
  const filter = objectOf(text ?? '') ?? {};
  if (Object.keys(filter).length === 1 && Array.isArray(filter.$and)) return filter.$and.filter(isObject);
  return Object.entries(filter).map(([key, value]) => ({ [key]: value }));
}

/** Whether conditions need a list, because of a key that two of them have. */
function isList(conditions) {
  const keys = conditions.flatMap(Object.keys);
  return new Set(keys).size < keys.length;
}

/** One filter of all conditions; null if there are none. */
export function joined(conditions) {
  if (!conditions.length) return null;
  if (isList(conditions)) return { $and: conditions };
  return Object.fromEntries(conditions.flatMap(Object.entries));
}

/** The key of a filter for a key of metadata within others: a dot leads into an object, a dollar sign begins an operator. */
export const filterKey = (names) => names.map((name) => name.replace(/[\\.]/g, '\\$&').replace(/^\$/, '\\$$')).join('.');

/** Conditions with another one, once. */
export const withCondition = (conditions, added) => [...withoutCondition(conditions, added), added];
export const withoutCondition = (conditions, gone) => conditions.filter((condition) => !same(condition, gone));

/** A condition as people read it. */
function described(condition) {
  const [entry, ...others] = Object.entries(condition);
  if (!entry || others.length || Array.isArray(entry[1])) return cut(JSON.stringify(condition));
  const [key, value] = entry;
  if (isPlain(value)) return cut(`${key}: ${typed(value)}`);
  const [[operator, operand] = [], ...more] = Object.entries(value);
  const sign = Object.keys(SIGNS).find((sign) => SIGNS[sign] === operator);
  return cut(sign && !more.length && isPlain(operand) ? `${key} ${sign} ${typed(operand)}` : JSON.stringify(condition));
}

/** A value as one types it: a text that looks like a number has quotation marks. */
const typed = (value) => (typeof value === 'string' && valueOf(value) !== value ? JSON.stringify(value) : words(value));

const cut = (text, most = SHORT) => (text.length > most ? `${text.slice(0, most)}…` : text);

/**
 * A field that adds conditions, and a button for each, which takes it away. `change` is called with all of them. `set` shows
 * others; `refused` shows what a problem says of the filter, and answers whether it says something; `complete` adds what is
 * typed, and answers whether nothing is left that is no condition.
 */
export function filterField(conditions, change) {
  let all = conditions;
  const fault = h('p', { class: 'fault', role: 'alert' });
  const hint = h('small', {}, t('filter.hint'));
  const input = h('input', { type: 'text', class: 'condition', spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', placeholder: 'year>=2022' });
  const button = h('button', { type: 'button' }, t('filter.apply'));
  const chips = h('div', { class: 'chips conditions' });
  const id = `filter-${++fields}`;
  Object.assign(input, { id });
  Object.assign(fault, { id: `${id}-fault` });
  Object.assign(hint, { id: `${id}-hint` });
  input.setAttribute('aria-describedby', `${hint.id} ${fault.id}`);

  const say = (text) => {
    fill(fault, text);
    input.setAttribute('aria-invalid', String(Boolean(text)));
  };
  const set = (conditions) => {
    all = conditions;
    fill(chips, all.map((condition) => {
      const text = described(condition);
      const remove = () => {
        set(withoutCondition(all, condition));
        say('');
        (chips.querySelector('button') ?? input).focus();
        change(all);
      };
      return h('button', { type: 'button', class: 'chip on', 'aria-label': t('filter.remove', { words: text }), onclick: remove }, text, ' ×');
    }));
  };
  const add = () => {
    if (!input.value.trim()) return say('');
    const condition = conditionOf(input.value);
    if (!condition) return say(t('filter.wrong'));
    say('');
    input.value = '';
    set(withCondition(all, condition));
    change(all);
  };
  const complete = () => {
    add();
    return !input.value.trim();
  };
  const refused = (problem) => {
    const wrong = (problem.errors ?? []).filter(({ field }) => /^filter\b/.test(field));
    // Several conditions are joined by a list that nobody has written.
    const path = (field) => (isList(all) ? field.replace(/^filter\.\$and\[\d+\]/, 'filter') : field);
    if (wrong.length) say(wrong.flatMap(({ field, detail }) => [h('code', {}, path(field)), ` ${detail} `]));
    return wrong.length > 0;
  };
  button.addEventListener('click', add);
  input.addEventListener('change', add);
  input.addEventListener('input', () => { if (input.getAttribute('aria-invalid') === 'true') say(''); });
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229) return;
    // The form around it is sent by other fields.
    event.preventDefault();
    add();
  });
  set(conditions);
  const element = h('div', { class: 'field' }, h('label', { for: id }, t('filter.label')), h('div', { class: 'with-button' }, input, button), hint, fault);
  return { element, chips, set, refused, complete };
}

let fields = 0;

/** The metadata of a document: a button for each plain value if `narrow` may be called with a condition, else words. */
export function metadataChips(metadata, narrow) {
  return Object.entries(metadata).flatMap(([name, value]) => {
    // Equality finds an element of a list.
    const values = Array.isArray(value) && value.length > 0 && value.length <= MANY && value.every(isPlain) ? value : [value];
    return values.map((value) => {
      const text = `${name}: ${words(value)}`;
      return narrow && isPlain(value)
        ? h('button', { type: 'button', class: 'chip', title: t('filter.add'), onclick: () => narrow({ [filterKey([name])]: value }) }, cut(text, LONG))
        : h('span', { class: 'chip', title: text.length > LONG && text }, cut(text, LONG));
    });
  });
}
