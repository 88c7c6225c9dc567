// Nothing typed is ever lost: a form with data-draft="<address>" is sent there on blur and every five seconds
// while it differs from what was last kept. The page warns before it is left with something unkept.
import { say } from "./announce.js";

const EVERY = 5000;
const kept = new WeakMap();

const textOf = (form) => new URLSearchParams([...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "csrfmiddlewaretoken")).toString();
const forms = () => document.querySelectorAll("form[data-draft]");

function stateOf(form) {
  if (!kept.has(form)) kept.set(form, { text: textOf(form), busy: false });
  return kept.get(form);
}

async function keep(form) {
  const state = stateOf(form);
  const text = textOf(form);
  if (text === state.text || state.busy || form.dataset.sent) return;
  state.busy = true;
  const body = new URLSearchParams(text);
  const token = form.querySelector("[name=csrfmiddlewaretoken]");
  const answer = await fetch(form.dataset.draft, {
    method: "POST",
    body,
    headers: { "X-CSRFToken": token ? token.value : "" },
    credentials: "same-origin",
    redirect: "error",
  }).catch(() => null);
  state.busy = false;
  if (!answer || !answer.ok) return;
  state.text = text;
  const note = form.querySelector("[data-draft-state]") || document.querySelector("[data-draft-state]");
  if (note) note.textContent = say("draft", new Date().toTimeString().slice(0, 8));
}

document.addEventListener("focusout", (event) => {
  const form = event.target.closest && event.target.closest("form[data-draft]");
  if (form) keep(form);
});
window.setInterval(() => forms().forEach(keep), EVERY);
forms().forEach(stateOf);
document.addEventListener("htmx:afterSettle", () => forms().forEach(stateOf));
window.addEventListener("beforeunload", (event) => {
  for (const form of forms()) {
    if (!form.dataset.sent && textOf(form) !== stateOf(form).text) { event.preventDefault(); event.returnValue = ""; }
  }
});
