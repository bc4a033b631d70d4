// Files to documents.

/** The endings of files that are read. */
export const ENDINGS = ['.jsonl', '.ndjson', '.json', '.csv', '.tsv', '.txt', '.md'];

/** Bytes of the largest file: a browser keeps all of it in memory. Larger ones are for an import. */
const LARGEST = 50 * 1024 * 1024;
/** The fields of a document, in both spellings that the API reads. */
const COLUMNS = ['id', '_id', 'title', 'content', 'text'];
const FIELDS = [...COLUMNS, 'metadata'];

/**
 * The documents of a file, each with its `place`: a line or a number. One that is no document has `wrong`, the name of the
 * words that say why. A file that is none of these kinds fails with such a name.
 */
export async function readFile(file) {
  const ending = file.name.slice(file.name.lastIndexOf('.')).toLowerCase();
  if (!ENDINGS.includes(ending)) throw new Error('file.kind');
  if (file.size > LARGEST) throw new Error('file.large');
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error('file.encoding');
  }
  switch (ending) {
    case '.jsonl': case '.ndjson': return lines(text);
    case '.json': return json(text);
    case '.csv': case '.tsv': return table(text);
    default: return [{ place: 1, document: page(file.name, text) }];
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
    return known(JSON.parse(line));
  } catch {
    return { wrong: 'file.line' };
  }
}

function json(text) {
  let whole;
  try {
    whole = JSON.parse(text);
  } catch {
    // Lines of JSON are often called .json.
    return lines(text);
  }
  const list = Array.isArray(whole) ? whole : Array.isArray(whole?.documents) ? whole.documents : [whole];
  return list.map((value, number) => ({ place: number + 1, ...known(value) }));
}

/** A document of an object's fields; files carry others too, of which the API knows nothing. */
function known(value) {
  if (!value || typeof value !== 'object' || Array.isArray(value)) return { wrong: 'file.line' };
  return { document: Object.fromEntries(Object.entries(value).filter(([name]) => FIELDS.includes(name))) };
}

/** The title of a text is its first heading, else the file's name. */
function page(name, text) {
  return { id: name, title: text.match(/^#\s+(.+)$/m)?.[1].trim() ?? name.replace(/\.[^.]+$/, ''), content: text };
}

/** A table whose header names the columns: those of a document are its fields, the others its metadata. */
function table(text) {
  const [header = [], ...rows] = records(text);
  const columns = header.map((name) => name.trim());
  if (!columns.includes('content') && !columns.includes('text')) throw new Error('file.columns');
  return rows.filter((row) => row.some((value) => value !== '')).map((row, number) => {
    const document = {};
    for (const [place, name] of columns.entries()) {
      // An empty field is none.
      if (!row[place]) continue;
      if (COLUMNS.includes(name)) document[name] = row[place];
      else if (name) (document.metadata ??= {})[name] = row[place];
    }
    return { place: number + 2, document };
  });
}

/** The records of RFC 4180, with the separator that the header has most of. */
function records(text) {
  const first = text.split('\n', 1)[0];
  const separator = [',', ';', '\t', '|'].reduce((best, each) => (first.split(each).length > first.split(best).length ? each : best));
  const all = [];
  let row = [];
  let value = '';
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character !== '"') value += character;
      else if (text[at + 1] === '"') { value += '"'; at += 1; }
      else quoted = false;
    } else if (character === '"' && value === '') quoted = true;
    else if (character === separator) { row.push(value); value = ''; }
    else if (character === '\n') { row.push(value.replace(/\r$/, '')); all.push(row); row = []; value = ''; }
    else value += character;
  }
  if (value !== '' || row.length) all.push([...row, value]);
  return all;
}
