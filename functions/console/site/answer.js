// The text of an answer: the Markdown that models write, and its citations.

import { h } from './dom.js';
import { t } from './i18n.js';

// What stands for a citation until its button is made; texts have no such characters.
const OPEN = '\ue000';
const CLOSE = '\ue001';

/**
 * The elements of an answer. `citations` have `start` and `end` in Unicode characters and the number of a `source`; `opens`
 * answers what opens the source of a number, or nothing if there is none.
 */
export function answerText(text, citations = [], opens = () => null) {
  const characters = Array.from(text, (character) => (character === OPEN || character === CLOSE ? '\ufffd' : character));
  let marked = '';
  let at = 0;
  const found = citations.filter(({ source }) => source !== null && opens(source));
  for (const [place, { start, end }] of found.entries()) {
    if (start < at) continue;
    marked += `${characters.slice(at, start).join('')}${OPEN}${place}${CLOSE}`;
    at = end;
  }
  marked += characters.slice(at).join('');
  const citation = (place) => {
    const { start, end, source } = found[place];
    return h('button', { type: 'button', class: 'cite', 'aria-label': t('chat.cite', { n: `${source}` }), onclick: opens(source) },
      characters.slice(start, end).join(''));
  };
  return blocks(marked, citation);
}

function blocks(text, citation) {
  const parts = text.split(/^```.*$/m);
  return parts.flatMap((part, place) => (place % 2 ? h('pre', {}, h('code', {}, plain(part))) : paragraphs(part, citation)));
}

function paragraphs(text, citation) {
  const inline = (line) => spans(line, citation);
  const made = [];
  for (const block of text.split(/\n\s*\n/)) {
    let list = null;
    let lines = [];
    const flush = () => {
      if (lines.length) made.push(h('p', {}, lines.flatMap((line, n) => [n > 0 && h('br'), ...inline(line)])));
      lines = [];
    };
    for (const line of block.split('\n').filter((line) => line.trim())) {
      const item = line.match(/^\s*(?:[-*•]|(\d+)[.)])\s+(.*)$/);
      const heading = line.match(/^#{1,6}\s+(.*)$/);
      if (item) {
        flush();
        const tag = item[1] ? 'OL' : 'UL';
        if (list?.tagName !== tag) made.push(list = h(tag, { start: item[1] > 1 && item[1] }));
        list.append(h('li', {}, inline(item[2])));
        continue;
      }
      list = null;
      if (heading) {
        flush();
        made.push(h('h3', {}, inline(heading[1])));
      } else lines.push(line);
    }
    flush();
  }
  return made;
}

/** Bold, code and citations of a line. */
function spans(line, citation) {
  return line.split(/(\*\*[^*]+\*\*|`[^`]+`|\ue000\d+\ue001)/).map((part) => {
    if (part.startsWith(OPEN)) return citation(Number(part.slice(1, -1)));
    if (/^\*\*.+\*\*$/.test(part)) return h('strong', {}, spans(part.slice(2, -2), citation));
    if (/^`.+`$/.test(part)) return h('code', {}, plain(part.slice(1, -1)));
    return part;
  });
}

/** In code nothing is a citation. */
const plain = (text) => text.replace(/\ue000\d+\ue001/g, '').replace(/^\n/, '');
