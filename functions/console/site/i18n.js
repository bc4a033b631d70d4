// Words in the reader's language: French or English.

import { browser } from './kept.js';

const KEPT = 'rappel.language';
export const LANGUAGES = { en: 'English', fr: 'Français' };

let words = {};
export let language = 'en';

/** Loads the words of the language that was chosen, or else of the browser's. */
export async function load(chosen = browser.get(KEPT)) {
  language = chosen in LANGUAGES ? chosen : navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES) ?? 'en';
  ({ default: words } = await import(`./words/${language}.js`));
  document.documentElement.lang = language;
}

/** Changes the language, and keeps the choice. */
export async function choose(chosen) {
  browser.set(KEPT, chosen);
  await load(chosen);
}

/** The words of a key, with `{name}` replaced. A key that has a form for one, `key.one`, is chosen by `n`. */
export function t(name, values = {}) {
  const one = values.n !== undefined && new Intl.PluralRules(language).select(values.n) === 'one' && words[`${name}.one`];
  return (one || words[name] || name).replace(/\{(\w+)\}/g, (_, field) =>
    typeof values[field] === 'number' ? number(values[field]) : values[field] ?? '');
}

/** The reader's own form of the language, such as that of Britain, for numbers and dates. */
const locale = () => navigator.languages.find((tag) => tag.startsWith(language)) ?? language;

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

export const percent = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits }).format(value);

export const when = (time) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(time));
