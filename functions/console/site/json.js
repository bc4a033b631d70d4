// JSON with the digits that it has: what JavaScript's numbers cannot hold stays as it is written.

/** Parts of an answer whose numbers are a user's. */
const KEPT = ['metadata', 'facets', 'filter'];

/** Reads JSON. A number that would be written differently keeps its text, where the browser can. */
export const parse = (text) => JSON.parse(text, (_, value, context) => {
  const isOther = typeof value === 'number' && context?.source !== undefined && String(value) !== context.source;
  return isOther && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
});

/** Reads an answer, whose own numbers are numbers. */
export const parseAnswer = (text) => counted(parse(text));

function counted(value) {
  if (isNumberText(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return value.map(counted);
  if (value && typeof value === 'object') {
    for (const name of Object.keys(value)) if (!KEPT.includes(name)) value[name] = counted(value[name]);
  }
  return value;
}

const isNumberText = (value) => Boolean(JSON.isRawJSON?.(value));

/** Whether a value is a text, a number, true, false or null. */
export const isPlain = (value) => value === null || typeof value !== 'object' || isNumberText(value);

/** Whether a value is an object, and no list. */
export const isObject = (value) => !isPlain(value) && !Array.isArray(value);

/** A value as people read it: a text without quotation marks. */
export const words = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** Whether two values are written the same. */
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The JSON merge patch (RFC 7396) from one object to another; undefined if there is none, because a patch cannot set null. */
export function mergePatch(from, to) {
  // Without a prototype `__proto__` is a key as any other.
  const patch = Object.create(null);
  for (const name of Object.keys(from)) if (!Object.hasOwn(to, name)) patch[name] = null;
  for (const [name, value] of Object.entries(to)) {
    const before = Object.hasOwn(from, name) ? from[name] : undefined;
    if (same(before, value)) continue;
    const change = isObject(before) && isObject(value) ? mergePatch(before, value) : hasNull(value) ? undefined : value;
    if (change === undefined) return undefined;
    patch[name] = change;
  }
  return patch;
}

const hasNull = (value) => value === null || (isObject(value) && Object.values(value).some(hasNull));
