// Questions and answers, streamed, with their sources.

import { CHAT, CHAT_AUTHORIZATION, Problem, events, isAborted } from './api.js';
import { answerText } from './answer.js';
import { openSource } from './document.js';
import { fill, h, labelled, refill, say } from './dom.js';
import { filterField, joined } from './filter.js';
import { number, t } from './i18n.js';
import { problemBox } from './problem.js';

/** The conversation, kept while other pages are shown; Rappel keeps none. An answer has `text`, `sources` and `done`. */
let turns = [];
const options = { limit: 6, conditions: [] };
/** The finish reasons with words of their own; an endpoint may have others. */
const REASONS = ['length', 'content_filter', 'refusal', 'no_sources'];
/** The question that is being answered, if one is. */
let running = null;
/** What shows that there is more of the answer; nothing while another page is shown. */
let draw = () => {};

export function show(main) {
  main.append(h('h1', {}, t('page.chat')));
  if (CHAT_AUTHORIZATION === 'iam') {
    main.append(h('p', { class: 'notice' }, t('chat.iam')));
    return null;
  }
  const log = h('div', { class: 'log', role: 'log', 'aria-label': t('chat.conversation') });
  const composer = h('form', { class: 'composer' });
  main.append(log, composer);
  const input = h('textarea', { rows: 2, 'aria-label': t('chat.question'), placeholder: t('chat.placeholder') });
  const buttons = h('div', { class: 'row end' });
  composer.append(input, h('div', { class: 'row between' }, settings(), buttons));

  const boxes = new Map();
  const update = () => {
    const isFocused = buttons.contains(document.activeElement);
    fill(buttons,
      turns.length > 0 && !running && h('button', { type: 'button', class: 'quiet', onclick: forget }, t('chat.new')),
      running
        ? h('button', { type: 'button', class: 'danger', onclick: () => running.abort() }, t('chat.stop'))
        : h('button', { class: 'primary' }, t('chat.ask')));
    if (isFocused) buttons.lastElementChild.focus();
    if (!turns.length) return fill(log, h('p', { class: 'empty' }, t('chat.welcome')));
    if (!log.querySelector('.turn')) fill(log);
    for (const [turn, box] of boxes) {
      if (turns.includes(turn)) continue;
      if (box.contains(document.activeElement)) buttons.lastElementChild.focus();
      box.remove();
      boxes.delete(turn);
    }
    for (const turn of turns) {
      // Only the last one changes: a screen reader reads what is drawn, and the focus may be in another one.
      if (boxes.has(turn) && turn !== turns.at(-1)) continue;
      const box = boxes.get(turn) ?? h('section', { class: 'turn', tabindex: -1 });
      boxes.set(turn, box);
      box.setAttribute('aria-busy', String(isLive(turn)));
      refill(box, turnParts(turn));
      if (!box.isConnected) log.append(box);
    }
    log.lastElementChild.scrollIntoView({ block: 'nearest' });
  };
  const forget = () => {
    turns = [];
    update();
    input.focus();
  };
  const send = (event) => {
    event.preventDefault();
    const question = input.value.trim();
    if (!question || running) return;
    input.value = '';
    answer(question);
  };
  composer.addEventListener('submit', send);
  input.addEventListener('keydown', (event) => {
    // Safari's key that ends a composition (229) is no longer part of it.
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.keyCode !== 229) send(event);
  });
  draw = update;
  update();
  input.focus();
  // The answer goes on meanwhile.
  return () => { draw = () => {}; };
}

function settings() {
  const limit = h('input', { type: 'number', min: 1, max: 20, value: options.limit, oninput: () => { if (limit.checkValidity() && limit.value) options.limit = Number(limit.value); } });
  const filter = filterField(options.conditions, (conditions) => { options.conditions = conditions; });
  return h('details', { class: 'options' }, h('summary', {}, t('options')),
    h('div', { class: 'fields' }, filter.element, filter.chips, labelled(t('chat.limit'), limit)));
}

async function answer(question) {
  const turn = { question, text: '', sources: [], done: null, problem: null, stopped: false };
  turns.push(turn);
  running = new AbortController();
  draw();
  const body = { messages: messages(), limit: options.limit };
  if (options.conditions.length) body.filter = joined(options.conditions);
  try {
    for await (const { name, data } of events(CHAT, body, running.signal)) {
      take(turn, name, data);
    }
    // A connection that ends early looks as one that has ended well.
    if (!turn.done && !turn.problem) turn.problem = Problem.unreachable();
  } catch (error) {
    if (isAborted(error)) turn.stopped = true;
    else turn.problem = error;
  } finally {
    running = null;
    say(t(turn.problem ? 'chat.failed' : turn.stopped ? 'chat.stopped' : 'chat.answered'));
    draw();
  }
}

function take(turn, name, data) {
  if (name === 'sources') {
    turn.sources = data.sources;
    turn.query = data.query;
  } else if (name === 'delta') {
    turn.text += data.text;
    // Of an answer that has begun, its text alone is drawn anew, once for all words that come within a frame.
    if (turn.text !== data.text && turn.live?.isConnected) {
      turn.frame ??= requestAnimationFrame(() => {
        turn.frame = null;
        // It may have ended within the frame.
        if (turn.live) fill(turn.live, answerText(turn.text));
      });
      return;
    }
  } else if (name === 'done') turn.done = data;
  else if (name === 'failure') turn.problem = new Problem(data);
  draw();
}

/** The conversation as the API takes it: with the sources of its answers, so that their numbers keep their meaning. */
function messages() {
  // A question that was refused would be refused again.
  return turns.filter(({ problem }) => problem?.status !== 422).flatMap(({ question, text, sources }) => [
    { role: 'user', content: question },
    text && { role: 'assistant', content: text, sources: sources.map(({ number, title, document_id }) => ({ number, title, document_id })) },
  ]).filter(Boolean);
}

const isLive = (turn) => Boolean(running) && turn === turns.at(-1);

/** Asks a question again whose answer failed. */
function again(turn) {
  if (running) return;
  turns = turns.filter((each) => each !== turn);
  answer(turn.question);
}

function turnParts(turn) {
  turn.live = isLive(turn) ? h('div', { class: 'live' }, answerText(turn.text)) : null;
  const source = (number) => turn.sources.find((source) => source.number === number);
  const cited = new Set(turn.done?.cited);
  return [
    h('h2', { class: 'asked' }, turn.question),
    turn.query && turn.query !== turn.question && h('p', { class: 'summary' }, t('chat.searched', { query: turn.query })),
    h('div', { class: 'answer' },
      turn.live ? [turn.live, !turn.text && h('p', { class: 'summary waiting' }, t(turn.sources.length ? 'chat.writing' : 'chat.searching'))]
        : answerText(turn.text, turn.done?.citations ?? [], (number) => source(number) && (() => openSource(source(number))))),
    turn.stopped && h('p', { class: 'notice' }, t('chat.stopped')),
    turn.problem && problemBox(turn.problem, () => again(turn)),
    turn.done && turn.done.finish_reason !== 'stop' && h('p', { class: 'notice' }, shortcoming(turn.done.finish_reason)),
    turn.sources.length > 0 && h('div', { class: 'sources' },
      h('h3', {}, t('chat.sources')),
      h('ol', {}, turn.sources.map((source) => h('li', { value: source.number, class: cited.size > 0 && !cited.has(source.number) && 'uncited' },
        h('button', { type: 'button', class: 'source', onclick: () => openSource(source) },
          h('span', { class: 'n' }, source.number), ' ', source.title || source.document_id))))),
    turn.done?.took_ms && h('p', { class: 'summary' }, t('chat.took', { seconds: number(turn.done.took_ms.total / 1000, 1) })),
  ];
}

/** What an answer lacks that ended for this reason. */
const shortcoming = (reason) => (REASONS.includes(reason) ? t(`chat.${reason}`) : t('chat.ended', { reason }));
