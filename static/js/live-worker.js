// One connection per browser, not per tab: six streams over HTTP/1.1 freeze the seventh page.
// Runs as a SharedWorker; where there is none, the same file runs as one Worker per tab.
"use strict";

const POLL_EVERY = 5000;
const QUIET_AFTER = 20000; // pings are comments and unseen here: a quiet stream is asked whether it lives
const TRY_STREAM_EVERY = 60000;

const ports = new Set();
let addresses = null;
let source = null;
let failures = 0;
let version = 0; // number of the newest event we know of
let polling = 0;
let mode = "lost";
let lastHeard = 0;
let lastStreamTry = 0;

function tell(message) {
  for (const port of ports) port.postMessage(message);
}

function heard() {
  lastHeard = Date.now();
  tell({ type: "heard", mode });
}

function setMode(next) {
  mode = next;
  tell({ type: "mode", mode });
}

function pass(topic) {
  if (topic.t === "board" && topic.v > version) version = topic.v;
  tell({ type: "topic", t: topic.t, v: topic.v });
}

async function ask() {
  const address = version ? `${addresses.since}?v=${version}` : addresses.since;
  try {
    const answer = await fetch(address, { credentials: "same-origin", cache: "no-store", redirect: "error" });
    if (answer.status === 204) { heard(); return true; }
    if (!answer.ok) return false;
    const news = await answer.json();
    const first = version === 0;
    version = Math.max(version, news.v);
    if (!first) news.topics.forEach(pass);
    heard();
    return true;
  } catch (gone) {
    return false;
  }
}

function listen() {
  lastStreamTry = Date.now();
  source = new EventSource(addresses.live);
  source.addEventListener("open", () => {
    failures = 0;
    stopPolling();
    setMode("stream");
    heard();
  });
  source.addEventListener("hello", (event) => { // where the server is; ask for what was said while we did not listen
    heard();
    const { v } = JSON.parse(event.data);
    if (version === 0) version = v;
    else if (v > version) ask();
  });
  source.addEventListener("live", (event) => {
    heard();
    pass(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    failures += 1;
    if (failures >= 2 || source.readyState === EventSource.CLOSED) {
      source.close();
      source = null;
      poll();
    }
  });
}

function stopPolling() {
  clearInterval(polling);
  polling = 0;
}

function poll() {
  if (polling) return;
  const once = async () => {
    setMode((await ask()) ? "poll" : "lost");
    if (!source && Date.now() - lastStreamTry > TRY_STREAM_EVERY) { failures = 1; listen(); }
  };
  once();
  polling = setInterval(once, POLL_EVERY);
}

setInterval(() => {
  if (addresses && source && ports.size && Date.now() - lastHeard > QUIET_AFTER) {
    ask().then((alive) => { if (!alive && mode !== "lost") setMode("lost"); });
  }
}, 5000);

function join(port) {
  ports.add(port);
  port.onmessage = ({ data }) => {
    if (data.type === "bye") { ports.delete(port); return; }
    ports.add(port);
    if (!addresses) { addresses = data; listen(); }
    port.postMessage({ type: "mode", mode });
    if (Date.now() - lastHeard < QUIET_AFTER) port.postMessage({ type: "heard", mode });
  };
}

if (typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope) {
  self.onconnect = (event) => join(event.ports[0]);
} else {
  join(self);
}
