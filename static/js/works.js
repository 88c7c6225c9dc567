// The panel beside the form of a work is worked out again whenever the form has changed: half a second after the
// last key, never in the middle of a composition. The form works without this file; it is then checked when sent.
import { announce } from "./announce.js";

const PAUSE = 500;
const form = document.querySelector("form[data-recheck]");
let timer = 0;
let composing = false;

function recheck(pause) {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    if (composing) return;
    document.querySelector(form.dataset.recheck).dispatchEvent(new CustomEvent("recheck:go", { bubbles: false }));
  }, pause);
}

const isSearch = (node) => node.matches && node.matches("[type=search]");

// whoever listens hears the sum when it has changed, not the whole panel after every pause
const summary = () => { const line = form.querySelector("[data-summary]"); return line ? line.textContent : ""; };
let said = form ? summary() : "";

if (form) {
  form.addEventListener("compositionstart", () => { composing = true; });
  form.addEventListener("compositionend", () => { composing = false; recheck(PAUSE); });
  form.addEventListener("input", (event) => { if (!event.isComposing && !isSearch(event.target)) recheck(PAUSE); });
  form.addEventListener("change", (event) => { if (!isSearch(event.target)) recheck(0); });
  // in the search box Enter takes the one result that there is (ime.js); it never sends the form
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && isSearch(event.target)) event.preventDefault();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const part = event.detail.target;
    if (!part) return;
    if (`#${part.id}` === form.dataset.recheck && summary() !== said) announce(said = summary());
    if (!["where", "windows"].includes(part.id)) return;
    // rows that came or went by a button
    recheck(0);
    const next = part.id === "where" ? document.getElementById("element-search") : null;
    if (next) next.focus();
  });
}
