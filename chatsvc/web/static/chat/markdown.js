// Markdown, painted piece by piece: of a text that grows only its end is painted anew.
import MarkdownIt from "../vendor/markdown-it/markdown-it.js";
import { CopyButton } from "./copy.js";
import { html, render } from "./lib.js";
import { clean } from "./sanitise.js";

const markdown = new MarkdownIt({ html: false, linkify: true });
const { escapeHtml } = markdown.utils;
const { rules } = markdown.renderer;
const LINE = /\r\n?|\n/g;
const REFERENCE = /^ {0,3}\[[^\]\n]+\]:/m;
const ELSEWHERE = 'target="_blank" rel="noopener noreferrer nofollow"';

markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
markdown.validateLink = (address) => /^(?:https?:|mailto:)/i.test(address.trim());

rules.link_open = (tokens, at) => `<a href="${escapeHtml(tokens[at].attrGet("href") ?? "")}" ${ELSEWHERE}>`;

// Looking at a picture tells its server who reads, and when: it is opened by a click, and never by itself.
rules.image = (tokens, at) => {
  const address = tokens[at].attrGet("src") ?? "";
  const words = tokens[at].content.trim() || "picture";
  return `<a class="picture" href="${escapeHtml(address)}" ${ELSEWHERE} title="${escapeHtml(address)}">Show image: ${escapeHtml(words)}</a>`;
};

// A message is a part of the page: its largest heading is a small one.
for (const rule of ["heading_open", "heading_close"]) {
  rules[rule] = (tokens, at) => {
    const size = Math.min(6, Number(tokens[at].tag[1]) + 2);
    return rule === "heading_open" ? `<h${size}>` : `</h${size}>\n`;
  };
}

rules.table_open = () => '<div class="table"><table>\n';
rules.table_close = () => "</table></div>\n";
for (const cell of ["th", "td"]) {
  rules[`${cell}_open`] = (tokens, at) => {
    const side = /text-align:(left|center|right)/.exec(tokens[at].attrGet("style") ?? "")?.[1];
    return side ? `<${cell} class="${side}">` : `<${cell}>`;
  };
}

const block = (text, name) =>
  `<div class="code"><div class="code-head"><span class="code-name">${escapeHtml(name)}</span></div><pre><code>${escapeHtml(text)}</code></pre></div>\n`;
rules.fence = (tokens, at) => block(tokens[at].content, tokens[at].info.trim().split(/\s+/)[0].slice(0, 30));
rules.code_block = (tokens, at) => block(tokens[at].content, "");

const painted = new WeakMap();

export function paint(box, content, growing) {
  let state = painted.get(box);
  if (!state || state.ended || !content.startsWith(state.settled) || (!growing && REFERENCE.test(content))) {
    box.replaceChildren();
    state = { settled: "", tail: [], ended: false };
    painted.set(box, state);
  }
  for (const node of state.tail) node.remove();
  state.tail = [];
  const rest = content.slice(state.settled.length);
  const cut = growing ? settledLength(rest) : rest.length;
  if (cut > 0) {
    settle(box, made(rest.slice(0, cut)));
    state.settled += rest.slice(0, cut);
  }
  if (cut < rest.length) {
    const fragment = made(rest.slice(cut));
    state.tail = [...fragment.childNodes];
    box.append(fragment);
  }
  state.ended = !growing;
}

function made(text) {
  return clean(markdown.render(text));
}

// How much of the text can no longer change: all but the last two blocks, since a line may yet join the one before.
function settledLength(text) {
  const starts = markdown
    .parse(text, {})
    .filter((token) => token.level === 0 && token.nesting >= 0 && token.map)
    .map((token) => token.map[0]);
  return starts.length > 2 ? lineStart(text, starts.at(-2)) : 0;
}

function lineStart(text, number) {
  if (number === 0) return 0;
  LINE.lastIndex = 0;
  for (let seen = 1; LINE.exec(text); seen += 1) if (seen === number) return LINE.lastIndex;
  return 0;
}

function settle(box, fragment) {
  // What scrolls sideways is reached by the keyboard too.
  for (const wide of fragment.querySelectorAll("pre, .table")) wide.tabIndex = 0;
  for (const code of fragment.querySelectorAll(".code")) {
    const text = code.querySelector("code").textContent;
    const place = document.createElement("span");
    code.firstElementChild.append(place);
    render(html`<${CopyButton} text=${text} words="Copy code" />`, place);
    const name = code.querySelector(".code-name").textContent;
    if (name) import("./code.js").then((module) => module.colour(code.querySelector("code"), text, name));
  }
  box.append(fragment);
}
