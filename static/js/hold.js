// Nothing on screen moves silently under a person who is working there. A live answer for a [data-hold] region
// is put in at once when nobody is in it. While pointer or focus is inside, cells change in place but rows keep
// their order: new, gone and moved rows wait behind a banner. While something is being typed, everything waits.
import { announce, say } from "./announce.js";

const CHANGED_FOR = 3000;
const held = new WeakMap(); // region -> { html, count }

// htmx gives a poll (`every 60s`) no event at all
const isLive = (config) => !config || !config.triggeringEvent || config.triggeringEvent.type.startsWith("live:");
const isTyping = (region) => region.querySelector("[data-dirty]") !== null
  || Boolean(region.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), textarea, select"));
const isInside = (region) => {
  const table = region.querySelector("[data-list]");
  return Boolean(table && (table.matches(":hover") || table.contains(document.activeElement)));
};

const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const rowsOf = (root) => [...root.querySelectorAll("[data-row][id]")];

function outline(cell) {
  cell.classList.add("is-changed");
  window.setTimeout(() => cell.classList.remove("is-changed"), CHANGED_FOR);
}

/** Figures outside the list that the same answer brings. */
function patchParts(next) {
  for (const part of document.querySelectorAll("[data-patch][id]")) {
    const fresh = next.getElementById(part.id);
    if (fresh && !part.contains(document.activeElement)) part.innerHTML = fresh.innerHTML;
  }
}

/** Put new cell contents into the rows that stay; returns how many rows still wait. */
function patch(region, next) {
  const now = rowsOf(region);
  const later = rowsOf(next);
  const byId = new Map(later.map((row) => [row.id, row]));
  for (const row of now) {
    const fresh = byId.get(row.id);
    if (!fresh || row.cells.length !== fresh.cells.length) continue;
    row.className = fresh.className;
    [...row.cells].forEach((cell, i) => {
      if (cell.innerHTML === fresh.cells[i].innerHTML || cell.contains(document.activeElement)) return;
      const said = cell.textContent !== fresh.cells[i].textContent;
      cell.innerHTML = fresh.cells[i].innerHTML;
      if (said && !("quiet" in cell.dataset)) outline(cell);
    });
  }
  patchParts(next);
  const nowIds = now.map((row) => row.id);
  const laterIds = later.map((row) => row.id);
  const added = laterIds.filter((id) => !nowIds.includes(id)).length;
  const gone = nowIds.filter((id) => !byId.has(id)).length;
  const stay = (ids, other) => ids.filter((id) => other.includes(id)).join();
  const moved = stay(nowIds, laterIds) === stay(laterIds, nowIds) ? 0 : 1;
  return added + gone + moved;
}

function banner(region, count) {
  const slot = region.querySelector("[data-hold-banner]");
  if (!slot) return;
  slot.textContent = "";
  slot.hidden = !count;
  if (!count) return;
  const text = document.createElement("span");
  text.textContent = say("held", count);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button--small";
  button.textContent = say("apply");
  button.addEventListener("click", () => apply(region));
  slot.append(text, button);
}

function apply(region) {
  const waiting = held.get(region);
  if (!waiting) return;
  held.delete(region);
  const next = parse(waiting.html);
  const fresh = next.getElementById(region.id);
  if (!fresh) return;
  patchParts(next);
  const focused = document.activeElement && document.activeElement.closest("[data-row][id]");
  const keep = focused && region.contains(focused) ? focused.id : "";
  region.replaceWith(fresh);
  if (window.htmx) window.htmx.process(fresh);
  const link = keep && document.querySelector(`#${CSS.escape(keep)} a[href]`);
  if (link) link.focus();
  document.dispatchEvent(new CustomEvent("region:applied", { detail: { region: fresh } }));
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const region = event.detail.target.closest && event.detail.target.closest("[data-hold]");
  if (!region || !isLive(event.detail.requestConfig) || !event.detail.shouldSwap) return;
  const typing = isTyping(region);
  if (!typing && !isInside(region)) {
    const before = new Map(rowsOf(region).map((row) => [row.id, [...row.cells].map((cell) => cell.textContent)]));
    window.setTimeout(() => {
      for (const row of rowsOf(document)) {
        const old = before.get(row.id);
        if (old) [...row.cells].forEach((cell, i) => { if (cell.textContent !== old[i] && !("quiet" in cell.dataset)) outline(cell); });
      }
    }, 80);
    held.delete(region);
    return;
  }
  event.detail.shouldSwap = false;
  const html = event.detail.serverResponse;
  const seen = held.get(region);
  const count = typing ? (seen ? seen.count : 0) + 1 : patch(region, parse(html));
  if (count) {
    held.set(region, { html, count });
    banner(region, count);
    if (!seen) announce(say("held", count));
  } else {
    held.delete(region);
    banner(region, 0);
  }
});

// Once pointer and focus have left, what waits is shown.
let leaving = 0;
function left() {
  window.clearTimeout(leaving);
  leaving = window.setTimeout(() => {
    for (const region of document.querySelectorAll("[data-hold]")) {
      if (held.has(region) && !isInside(region) && !isTyping(region)) apply(region);
    }
  }, 1500);
}
document.addEventListener("pointerout", (event) => { if (event.target.closest && event.target.closest("[data-hold]")) left(); });
document.addEventListener("focusout", left);
