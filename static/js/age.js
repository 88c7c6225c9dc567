// Every fact shows its age: > 30 s amber, > 120 s a red bar, > 5 min nothing can be saved.
import { announce, say } from "./announce.js";

const box = document.getElementById("data-age");
const face = document.querySelector("[data-age-clock]");
const bar = document.getElementById("stale-bar");
const serverAhead = new Date(document.body.dataset.now).getTime() - Date.now();
let heardAt = Date.now();
let state = "fresh";

const stateOf = (seconds) => (seconds > 300 ? "off" : seconds > 120 ? "stale" : seconds > 30 ? "late" : "fresh");

function draw() {
  const seconds = Math.max(0, (Date.now() - heardAt) / 1000);
  const next = stateOf(seconds);
  box.dataset.state = next;
  const time = new Date(heardAt + serverAhead);
  face.dateTime = time.toISOString();
  face.textContent = siteClock(time);
  const broken = next === "stale" || next === "off";
  bar.hidden = !broken;
  document.body.dataset.writes = next === "off" ? "off" : "on";
  if (broken) {
    const text = say("stale", Math.floor(seconds / 60)) + (next === "off" ? ` ${say("writesOff")}` : "");
    if (bar.textContent !== text) bar.textContent = text;
    if (state !== next) announce(text);
  }
  state = next;
}

// The clock stays in the site's zone, whatever zone this computer is in.
const offset = /([+-])(\d\d):(\d\d)$/.exec(document.body.dataset.now);
const shift = offset ? (offset[1] === "-" ? -1 : 1) * (Number(offset[2]) * 60 + Number(offset[3])) * 60000 : 0;
const siteClock = (time) => new Date(time.getTime() + shift).toISOString().slice(11, 19);

if (box && document.body.dataset.live) {
  document.addEventListener("data:heard", () => { heardAt = Date.now(); draw(); });
  document.addEventListener("data:mode", (event) => {
    box.dataset.live = event.detail.mode === "lost" ? "off" : "on";
  });
  window.addEventListener("pageshow", draw);
  window.setInterval(draw, 1000);
}

export const writesAreOff = () => document.body.dataset.writes === "off";
