// Turns what the live connection says into `live:<topic>` events on <body>. The event is a hint: whoever
// listens fetches its fragment again, and that answer is the truth.
const { live, liveSince, liveWorker } = document.body.dataset;
const EVERY = 1000; // a topic fires at once, then at most once a second, and its last event is never dropped
const waiting = new Map();

function fire(topic, version) {
  document.body.dispatchEvent(new CustomEvent(`live:${topic}`, { detail: { v: version } }));
}

function schedule(topic, version) {
  const state = waiting.get(topic);
  if (document.hidden) {
    waiting.set(topic, { ...state, pending: version });
    return;
  }
  if (state && state.timer) {
    state.pending = version;
    return;
  }
  fire(topic, version);
  const timer = window.setTimeout(() => {
    const { pending } = waiting.get(topic) || {};
    waiting.delete(topic);
    if (pending !== undefined) schedule(topic, pending);
  }, EVERY);
  waiting.set(topic, { timer });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const [topic, state] of [...waiting]) {
    if (state.pending === undefined || state.timer) continue;
    waiting.delete(topic);
    schedule(topic, state.pending);
  }
});

// A page brought back by Back, or made while something happened, asks for all that came after it was made.
async function catchUp() {
  const made = document.querySelector("[data-live-version]");
  if (!made || !liveSince) return;
  const answer = await fetch(`${liveSince}?v=${made.dataset.liveVersion}`, { cache: "no-store", redirect: "error" }).catch(() => null);
  if (!answer || answer.status !== 200) return;
  const news = await answer.json();
  for (const topic of news.topics) schedule(topic.t, topic.v);
}

function received({ data }) {
  if (data.type === "topic") schedule(data.t, data.v);
  else document.dispatchEvent(new CustomEvent(data.type === "heard" ? "data:heard" : "data:mode", { detail: data }));
}

if (live && liveWorker) {
  let port = null;
  const connect = () => {
    if (!port) {
      if ("SharedWorker" in window) {
        port = new SharedWorker(liveWorker, { name: "live" }).port;
        port.start();
      } else {
        port = new Worker(liveWorker);
      }
      port.onmessage = received;
    }
    port.postMessage({ type: "hello", live: new URL(live, location.href).href, since: new URL(liveSince, location.href).href });
    catchUp();
  };
  connect();
  window.addEventListener("pagehide", () => port.postMessage({ type: "bye" }));
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
}
