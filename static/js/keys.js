// One registry of shortcuts; the help sheet is made from it. In templates:
//   data-key="u"          the key clicks this control, or puts the cursor into this field
//   data-key="Ctrl+Enter" with a modifier it works inside fields as well
//   data-go="b"           `g b` follows this link
//   data-list             j k move over its [data-row]s, Enter opens, o opens a new tab, x ticks
// Single keys act outside editable fields and outside composition only, and can be switched off in the profile.
import { say } from "./announce.js";

const enabled = document.body.dataset.keys !== "off";
const fixed = [];
let prefix = "";
let prefixTimer = 0;

/** Bind a key of a page's own script; `label` is what the help sheet says. */
export function bind(keys, label, action) {
  fixed.push({ keys, label, action });
}

const isEditable = (node) => node.closest && node.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") !== null;
const isVisible = (node) => node.getClientRects().length > 0;

function nameOf(event) {
  const { key } = event;
  const modifiers = [event.ctrlKey || event.metaKey ? "Ctrl" : "", event.altKey ? "Alt" : "", event.shiftKey && key.length > 1 ? "Shift" : ""];
  return [...modifiers.filter(Boolean), key.length === 1 && (event.ctrlKey || event.altKey) ? key.toUpperCase() : key].join("+");
}

function press(node) {
  if (node.matches("input, textarea, select") && !node.matches("[type=checkbox], [type=radio], [type=submit], [type=button]")) node.focus();
  else if (node.matches("summary")) { node.click(); node.focus(); }
  else node.click();
}

function rows() {
  const list = document.querySelector("[data-list]");
  return list ? [...list.querySelectorAll("[data-row]")].filter(isVisible) : [];
}

const linkOf = (row) => row && row.querySelector("a[href]");
const currentRow = () => document.activeElement && document.activeElement.closest("[data-row]");

function move(step) {
  const all = rows();
  if (!all.length) return;
  const here = all.indexOf(currentRow());
  const next = all[Math.min(all.length - 1, Math.max(0, here < 0 ? 0 : here + step))];
  const link = linkOf(next);
  if (link) { link.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
}

const LIST_KEYS = {
  j: () => move(1),
  k: () => move(-1),
  o: () => { const link = linkOf(currentRow()); if (link) window.open(link.href, "_blank", "noopener"); },
  x: () => { const box = currentRow() && currentRow().querySelector("input[type=checkbox]"); if (box) box.click(); },
};

function find(name) {
  const own = fixed.find((entry) => entry.keys === name);
  if (own) return own.action;
  const control = [...document.querySelectorAll(`[data-key="${CSS.escape(name)}"]`)].find(isVisible);
  if (control) return () => press(control);
  if (LIST_KEYS[name] && rows().length) return LIST_KEYS[name];
  return null;
}

function onKey(event) {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  const name = nameOf(event);
  const modified = event.ctrlKey || event.metaKey || event.altKey;
  if (name === "Escape") { closeOpen(event); return; }
  if (!modified && (!enabled || isEditable(event.target) || document.querySelector("dialog[open]"))) return;
  if (prefix === "g" && !modified) {
    prefix = "";
    const link = document.querySelector(`[data-go="${CSS.escape(name)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  if (name === "g") {
    prefix = "g";
    window.clearTimeout(prefixTimer);
    prefixTimer = window.setTimeout(() => { prefix = ""; }, 1500);
    return;
  }
  if (name === "/") {
    const search = document.querySelector("[data-key-search-here]") || document.querySelector("[data-key-search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
    return;
  }
  if (name === "Backspace") {
    const up = [...document.querySelectorAll(".breadcrumb a")].pop();
    if (up) { event.preventDefault(); up.click(); }
    return;
  }
  if (name === "?") { event.preventDefault(); help(); return; }
  const action = find(name);
  if (action) { event.preventDefault(); action(event); }
}

function closeOpen(event) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault();
  }
  if (document.activeElement && document.activeElement.matches("input[type=search]")) document.activeElement.blur();
}

function entries() {
  // a control shows its key beside its words; the sheet has a column for keys
  const words = (node) => { const copy = node.cloneNode(true); for (const key of copy.querySelectorAll("kbd")) key.remove(); return copy.textContent; };
  const text = (node) => node.dataset.keyLabel || node.getAttribute("aria-label") || (node.labels && node.labels[0] ? node.labels[0].textContent : words(node));
  const found = [["/", document.querySelector("[data-key-search]") ? text(document.querySelector("[data-key-search]")) : ""], ["?", say("keys")]];
  const up = [...document.querySelectorAll(".breadcrumb a")].pop();
  if (up) found.push(["Backspace", up.textContent]);
  for (const link of document.querySelectorAll("[data-go]")) found.push([`g ${link.dataset.go}`, text(link)]);
  if (rows().length) {
    const list = document.querySelector("[data-list]");
    for (const pair of (list.dataset.listKeys || "").split("|")) {
      const [keys, label] = pair.split("=");
      if (label) found.push([keys, label]);
    }
  }
  for (const node of document.querySelectorAll("[data-key]")) if (isVisible(node)) found.push([node.dataset.key, text(node)]);
  for (const entry of fixed) found.push([entry.keys, entry.label]);
  const seen = new Set();
  return found.filter(([keys, label]) => label && label.trim() && !seen.has(keys) && seen.add(keys));
}

function help() {
  const sheet = document.createElement("dialog");
  sheet.setAttribute("aria-labelledby", "key-help-title");
  const head = document.createElement("div");
  head.className = "dialog__head";
  const title = document.createElement("h2");
  title.id = "key-help-title";
  title.textContent = say("keys");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button button--small";
  close.textContent = say("close");
  close.addEventListener("click", () => sheet.close());
  head.append(title, close);
  const list = document.createElement("dl");
  list.className = "dialog__body key-list";
  for (const [keys, label] of entries()) {
    const term = document.createElement("dt");
    for (const part of keys.split(" ")) {
      const key = document.createElement("kbd");
      key.textContent = part;
      term.append(key, " ");
    }
    const meaning = document.createElement("dd");
    meaning.textContent = label.trim().replace(/\s+/g, " ");
    list.append(term, meaning);
  }
  sheet.append(head, list);
  sheet.addEventListener("close", () => sheet.remove());
  document.body.append(sheet);
  sheet.showModal();
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
for (const opener of document.querySelectorAll("[data-key-help]")) {
  opener.hidden = false;
  opener.addEventListener("click", help);
}
