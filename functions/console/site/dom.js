// Elements without HTML: whatever comes from a document or an answer becomes a text node.

/** Makes an element. `on…` properties are listeners, `true` is an attribute without a value, null and false are left out. */
export function h(tag, properties, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same of SVG. */
export function svg(tag, properties, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...present(children));
  return element;
}

/** What of these children is there. */
function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts children in place of an element's own. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/** The same of what is drawn anew while it is used: the focus stays on what has the same words, or else on the element. */
export function refill(element, ...children) {
  const words = (button) => button.dataset.focus ?? button.textContent;
  const focused = element.contains(document.activeElement) ? words(document.activeElement) : null;
  fill(element, ...children);
  if (focused === null) return;
  const same = [...element.querySelectorAll('button, summary')].find((each) => !each.disabled && words(each) === focused);
  (same ?? element).focus();
}

/** A label with its field, which are bound by an id. */
export function labelled(text, field, hint) {
  field.id ||= `f${++fields}`;
  const note = hint && h('small', { id: `${field.id}-hint` }, hint);
  if (note) field.setAttribute('aria-describedby', note.id);
  return h('div', { class: 'field' }, h('label', { for: field.id }, text), field, note);
}

let fields = 0;

/** A link to a page of the web, or the text alone where it is no such address. */
export function link(address) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol)) return address;
  return h('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer' }, address);
}

/** Tells a screen reader what has changed. */
export function say(text) {
  document.getElementById('said').textContent = text;
}

/** Asks a question, and answers whether it was answered with yes. */
export function confirmed(question, yes, no) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: 'ask', 'aria-labelledby': 'question' },
      h('form', { method: 'dialog' },
        h('p', { id: 'question' }, question),
        h('div', { class: 'row end' },
          h('button', { value: 'no', autofocus: true }, no),
          h('button', { value: 'yes', class: 'danger' }, yes))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
