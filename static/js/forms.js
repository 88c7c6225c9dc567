// A form is sent once however often it is clicked. The button is never disabled: the server holds the real guard
// (an idempotency token in the form); this one only spares the round trip.
import { toast, say } from "./announce.js";
import { writesAreOff } from "./age.js";

const AGAIN_AFTER = 8000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || (form.getAttribute("method") || "").toLowerCase() !== "post") return;
  if (writesAreOff() && !("allowStale" in form.dataset)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    toast(say("writesOff"));
    return;
  }
  if (form.dataset.sent && Date.now() - Number(form.dataset.sent) < AGAIN_AFTER) {
    event.preventDefault();
    event.stopImmediatePropagation();
    toast(say("saving"));
    return;
  }
  form.dataset.sent = String(Date.now());
}, true);
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest && event.target.closest("form");
  if (form) delete form.dataset.sent;
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// What was changed and not sent is marked, so that a live refresh leaves it alone.
document.addEventListener("input", (event) => {
  const form = event.target.closest && event.target.closest("form:not([role=search]):not([data-filter])");
  if (form) form.dataset.dirty = "";
});
document.addEventListener("change", (event) => {
  const form = event.target.closest && event.target.closest("form[data-filter]");
  if (form && event.target.matches("select, [type=checkbox], [type=radio]")) form.requestSubmit();
});

document.addEventListener("click", (event) => {
  const target = event.target.closest && event.target.closest("[data-copy], [data-dismiss], [data-toggle-class]");
  if (!target) return;
  if ("copy" in target.dataset) {
    const text = document.querySelector(target.dataset.copy).textContent.trim();
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => toast(say("copied")));
  } else if ("dismiss" in target.dataset) {
    target.closest(target.dataset.dismiss || ".banner").remove();
  } else {
    const on = document.querySelector(target.dataset.target).classList.toggle(target.dataset.toggleClass);
    target.setAttribute("aria-pressed", String(on));
  }
});

const summary = document.querySelector("[data-error-summary]");
if (summary) summary.focus();
document.addEventListener("htmx:afterSettle", (event) => {
  const fresh = event.target.querySelector && event.target.querySelector("[data-error-summary]");
  if (fresh) fresh.focus();
});
