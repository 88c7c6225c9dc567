// IME-safe type-ahead: an input with data-search-go fires `search:go` when there is something new to look for,
// never in the middle of a composition. htmx listens to that event (a strict policy allows no trigger filters).
// Enter before the results have come means "open the first exact match when it arrives".
const PAUSE = 150;
const state = new WeakMap();

function of(input) {
  if (!state.has(input)) state.set(input, { composing: false, last: input.defaultValue, timer: 0 });
  return state.get(input);
}

function go(input, pause) {
  const own = of(input);
  window.clearTimeout(own.timer);
  own.timer = window.setTimeout(() => {
    if (own.composing || input.value === own.last) return;
    own.last = input.value;
    input.dispatchEvent(new CustomEvent("search:go", { bubbles: true, detail: { value: input.value } }));
  }, pause);
}

const isOurs = (node) => node.matches && node.matches("[data-search-go]");

document.addEventListener("compositionstart", (event) => { if (isOurs(event.target)) of(event.target).composing = true; });
document.addEventListener("compositionend", (event) => {
  if (!isOurs(event.target)) return;
  of(event.target).composing = false;
  go(event.target, 0);
});
document.addEventListener("input", (event) => {
  if (isOurs(event.target) && !event.isComposing && !of(event.target).composing) go(event.target, PAUSE);
});
document.addEventListener("keydown", (event) => {
  if (!isOurs(event.target) || event.key !== "Enter") return;
  if (event.isComposing || event.keyCode === 229 || of(event.target).composing) { event.preventDefault(); return; }
  const results = document.querySelector(event.target.dataset.searchResults || "[data-search-results]");
  const exact = results && results.querySelector("[data-exact]");
  if (exact && event.target.value === of(event.target).shown) { event.preventDefault(); exact.click(); return; }
  of(event.target).wantsFirst = true;
});
// Some browsers end a composition with an Enter that also submits the form.
document.addEventListener("submit", (event) => {
  const input = event.target.querySelector && event.target.querySelector("[data-search-go]");
  if (input && of(input).composing) event.preventDefault();
}, true);
document.addEventListener("htmx:afterSettle", (event) => {
  for (const input of document.querySelectorAll("[data-search-go]")) {
    const own = of(input);
    own.shown = own.last;
    const exact = event.target.querySelector && event.target.querySelector("[data-exact]");
    if (own.wantsFirst && exact && own.last === input.value) { own.wantsFirst = false; exact.click(); }
  }
});
