// The agent's card: the safety questions one after the other, the language of the script, and an answer that
// never changes silently while somebody is typing beside it. Everything here also works by plain clicks.
import { announce, say } from "./announce.js";

const EDITABLE = "textarea, select, input:not([type=checkbox]):not([type=radio]):not([type=hidden])";

// --- safety: Y and N answer the marked question, Shift+N answers all that are left ---

const questions = () => [...document.querySelectorAll("[data-safety] fieldset")];
const radio = (question, value) => question.querySelector(`input[value="${value}"]`);
const answered = (question) => question.querySelector("input:checked") !== null;

function mark() {
  const all = questions();
  if (!all.length) return;
  const next = all.find((question) => !answered(question));
  for (const question of all) {
    const now = question === next;
    question.classList.toggle("is-next", now);
    for (const [value, key] of [["yes", "y"], ["no", "n"]]) {
      const input = radio(question, value);
      if (now) input.dataset.key = key;
      else delete input.dataset.key;
    }
  }
  const dangerous = all.slice(0, 3).some((question) => radio(question, "yes").checked);
  const script = document.querySelector("[data-safety-script]");
  const wasHidden = script.hidden;
  script.hidden = !dangerous;
  if (dangerous && wasHidden) {
    const reason = document.querySelector("#log-form [name=reason]");
    if (reason && reason.tagName === "SELECT") reason.value = "hazard";
  }
}

function dirty() {
  const form = document.getElementById("log-form");
  if (form) form.dataset.dirty = "";
}

document.addEventListener("change", (event) => {
  if (event.target.closest && event.target.closest("[data-safety]")) { dirty(); mark(); }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest || !event.target.closest("[data-safety-none]")) return;
  for (const question of questions()) if (!answered(question)) radio(question, "no").checked = true;
  dirty();
  mark();
});
for (const button of document.querySelectorAll("[data-safety-none]")) button.hidden = false;
mark();

// --- the language of the script ---

let chosen = "";

function speak(language) {
  for (const text of document.querySelectorAll("[data-script-text]")) text.hidden = text.dataset.scriptText !== language;
  // the button names the language it leads to
  for (const name of document.querySelectorAll("[data-script-name]")) name.hidden = name.dataset.scriptName === language;
  const answer = document.getElementById("answer");
  if (answer) answer.dataset.script = language;
  for (const field of document.querySelectorAll("#log-form [name=language], [data-script-field]")) field.value = language;
}

document.addEventListener("click", (event) => {
  const control = event.target.closest && event.target.closest("[data-script-switch]");
  if (!control) return;
  event.preventDefault();
  chosen = document.getElementById("answer").dataset.script === "en" ? "zh-hans" : "en";
  speak(chosen);
});

// --- a live answer waits while somebody types ---

let waiting = null;
let typedAt = 0;

const log = () => document.getElementById("log-form");
const isTyping = () => {
  const form = log();
  const here = document.activeElement;
  return Boolean(form && here && form.contains(here) && here.matches(EDITABLE) && Date.now() - typedAt < 10000);
};
const sentences = (root) => [...root.querySelectorAll("[data-script-text] p")].map((p) => p.textContent).join("\n");

document.addEventListener("input", (event) => { if (log() && log().contains(event.target)) typedAt = Date.now(); });

document.addEventListener("htmx:beforeSwap", (event) => {
  const answer = document.getElementById("answer");
  if (!answer || event.detail.target !== answer || !event.detail.shouldSwap) return;
  const fresh = new DOMParser().parseFromString(event.detail.serverResponse, "text/html").getElementById("answer");
  if (!fresh || sentences(fresh) === sentences(answer) || !isTyping()) return;
  event.detail.shouldSwap = false;
  waiting = event.detail.serverResponse;
  const bar = answer.querySelector("[data-answer-held]");
  bar.textContent = "";
  bar.hidden = false;
  const text = document.createElement("span");
  text.textContent = say("held", 1);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button--small";
  button.textContent = say("apply");
  button.addEventListener("click", apply);
  bar.append(text, button);
  announce(text.textContent);
});

function apply() {
  if (!waiting) return;
  const html = waiting;
  waiting = null;
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("answer");
  document.getElementById("answer").replaceWith(fresh);
  if (window.htmx) window.htmx.process(fresh);
  settled();
}

function settled() {
  if (chosen) speak(chosen);
}

document.addEventListener("focusout", () => window.setTimeout(() => { if (waiting && !isTyping()) apply(); }, 400));
document.addEventListener("htmx:afterSettle", settled);
