// Files to documents.

import { isObject, parse } from './json.js';

/** Files of which each is a document, whose text the API extracts: it knows more encodings than this page. */
const FILES = {
  '.md': 'text/markdown', '.markdown': 'text/markdown', '.txt': 'text/plain', '.text': 'text/plain',
  '.pdf': 'application/pdf', '.html': 'text/html', '.htm': 'text/html', '.xhtml': 'application/xhtml+xml',
  '.docx': 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
};
const LINES = ['.jsonl', '.ndjson'];
const TABLES = ['.csv', '.tsv'];

/** The endings of files that are read. */
export const ENDINGS = [...LINES, '.json', ...TABLES, ...Object.keys(FILES)];

/** Bytes of the largest file: a browser keeps all of it in memory. Larger ones are for an import. */
const LARGEST = 50 * 1024 * 1024;
/** The same of those that are a document each: in base64 they fit into a request. */
const LARGEST_FILE = 4_500_000;
/** The fields of a document, in both spellings that the API reads. */
const COLUMNS = ['id', '_id', 'title', 'content', 'text'];
const FIELDS = [...COLUMNS, 'metadata'];
/** A character that separates no fields of a text. */
const NONE = '\x1f';

/**
 * The documents of a file, each with its `place`: a line or a number. One that is no document has `wrong`, the name of the
 * words that say why. A file that is none of these kinds fails with such a name.
 */
export async function readFile(file) {
  const ending = file.name.slice(file.name.lastIndexOf('.')).toLowerCase();
  if (!ENDINGS.includes(ending)) throw new Error('file.kind');
  if (file.size > LARGEST) throw new Error('file.large');
  if (FILES[ending]) {
    if (file.size > LARGEST_FILE) throw new Error('file.bytes');
    return [{ place: 1, document: { id: file.name, content_type: FILES[ending], content_base64: await base64(file) } }];
  }
  const text = await textOf(file);
  if (LINES.includes(ending)) return lines(text);
  return TABLES.includes(ending) ? table(text) : json(text);
}

/** A file may have been moved or changed since it was chosen. */
const unreadable = () => { throw new Error('file.unreadable'); };

const base64 = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.split(',')[1] ?? '');
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
}).catch(unreadable);

/** The text of a file in UTF-8, or in UTF-16 with a mark, as spreadsheets write it. */
async function textOf(file) {
  const bytes = await file.arrayBuffer().catch(unreadable);
  const [first, second] = new Uint8Array(bytes.slice(0, 2));
  const encoding = first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Error('file.encoding');
  }
}

function lines(text) {
  const all = [];
  for (const [number, line] of text.split('\n').entries()) {
    if (line.trim()) all.push({ place: number + 1, ...object(line) });
  }
  return all;
}

function object(line) {
  try {
    return known(parse(line));
  } catch {
    return { wrong: 'file.line' };
  }
}

function json(text) {
  let whole;
  try {
    whole = parse(text);
  } catch {
    // Lines of JSON are often called .json.
    return lines(text);
  }
  const list = Array.isArray(whole) ? whole : Array.isArray(whole?.documents) ? whole.documents : [whole];
  return list.map((value, number) => ({ place: number + 1, ...known(value) }));
}

/** A document of an object's fields; files carry others too, of which the API knows nothing. */
function known(value) {
  if (!isObject(value)) return { wrong: 'file.line' };
  return { document: Object.fromEntries(Object.entries(value).filter(([name]) => FIELDS.includes(name))) };
}

/** A table whose header names the columns: those of a document are its fields, the others its metadata. */
function table(text) {
  // Spreadsheets may name the separator before the header.
  const [before, named] = text.match(/^"?sep=([^\w\s"]?)"?\s*?\r?\n/i) ?? [''];
  const body = text.slice(before.length);
  const [header, ...rows] = records(body, separatorOf(body, named ? [named] : [',', ';', '\t', '|']));
  const columns = columnsOf(header);
  if (!columns.some(isText)) throw new Error('file.columns');
  return rows.filter(({ row }) => row.some((value) => value !== '')).map(({ row, line, isOpen }) => {
    const place = line + (before ? 1 : 0);
    // Either would put a text where it does not belong.
    if (isOpen) return { place, wrong: 'file.quote' };
    if (row.length !== columns.length) return { place, wrong: 'file.row' };
    const document = {};
    for (const [at, name] of columns.entries()) {
      // An empty field is none.
      if (!row[at]) continue;
      if (COLUMNS.includes(name)) document[name] = row[at];
      else if (name) (document.metadata ??= {})[name] = row[at];
    }
    return { place, document };
  });
}

const isText = (name) => name === 'content' || name === 'text';

/** The names of columns, those of a document's fields in whichever case. */
function columnsOf({ row } = { row: [] }) {
  return row.map((name) => (COLUMNS.includes(name.trim().toLowerCase()) ? name.trim().toLowerCase() : name.trim()));
}

/** The separator that fits the header best. In a table of one column none separates anything. */
function separatorOf(text, possible) {
  const tried = possible.map((separator) => ({ separator, columns: columnsOf(records(text, separator).next().value) }));
  const fits = ({ columns }) => columns.length + (columns.some(isText) ? text.length : 0);
  const { separator, columns } = tried.reduce((best, each) => (fits(each) > fits(best) ? each : best));
  return columns.length > 1 ? separator : NONE;
}

/** The records of RFC 4180, each with its line; `isOpen` is the last one if its quotation mark is never closed. */
function* records(text, separator) {
  let [row, value, quoted, line, begin] = [[], '', false, 1, 1];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\n') line += 1;
    if (quoted) {
      if (character !== '"') value += character;
      else if (text[at + 1] === '"') { value += '"'; at += 1; }
      else quoted = false;
    } else if (character === '"' && value === '') quoted = true;
    else if (character === separator) { row.push(value); value = ''; }
    else if (character === '\n') {
      yield { row: [...row, value.replace(/\r$/, '')], line: begin };
      [row, value, begin] = [[], '', line];
    } else value += character;
  }
  if (value !== '' || row.length || quoted) yield { row: [...row, value], line: begin, isOpen: quoted };
}
