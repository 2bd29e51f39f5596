// The page: what is chosen, and what becomes of it.

import { Alignment } from "/static/alignment.js";
import { Link } from "/static/link.js";
import { Picture } from "/static/picture.js";
import { Points } from "/static/points.js";
import { Report, element, stateOf } from "/static/report.js";

const byId = (id) => document.getElementById(id);
const BLEND_STEP = 0.05;

const link = new Link();
const picture = new Picture(link, byId("video"), byId("image"));
const report = new Report();
const alignment = new Alignment(link, { say, chooseView: (choose) => setView(choose(chosen.view)) });
const points = new Points(link, { say, showAlignment: (state) => alignment.show(state, size) });
const chosen = { view: "fused", palette: null, blend: 0.5 };
let size = null;
let isRecording = false, isAsking = false;
let quietly;

// A token in the address would stay in the history.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname);

function say(text, kind = "") {
  byId("message").textContent = text;
  byId("message").dataset.kind = kind;
  clearTimeout(quietly);
  quietly = setTimeout(() => byId("message").replaceChildren(), 15_000);
}

function notice(title, text = "") {
  byId("notice").hidden = !title;
  byId("notice-title").textContent = title;
  byId("notice-text").textContent = text;
}

function setState(name, text) {
  byId("state").dataset.state = name;
  if (byId("state").textContent !== text) byId("state").textContent = text;
}

// Without a server nothing can be asked for, and what was known is old.
function setLinked(isLinked) {
  for (const id of ["controls", "alignment"]) byId(id).inert = !isLinked;
  document.body.classList.toggle("stale", !isLinked);
  if (!isLinked) byId("recording").hidden = true;
}

// Choices are sent one after the other, the newest last; those in between are left out.
let isSending = false, isStale = false;
async function sendChoice() {
  byId("blend-field").hidden = chosen.view !== "blend";
  byId("blend").value = chosen.blend;
  setAspect();
  if (isSending) {
    isStale = true;
    return;
  }
  isSending = true;
  do {
    isStale = false;
    try {
      if (link.viewer) await link.ask("view", chosen);
    } catch (error) {
      say(error.message, "bad");
    }
  } while (isStale);
  isSending = false;
}

function setView(name) {
  if (name === chosen.view || !byId(`view-${name}`)) return;
  chosen.view = name;
  byId(`view-${name}`).checked = true;
  if (alignment.isDragging && ["visible", "side"].includes(name)) alignment.toggleDragging();
  sendChoice();
}

function setBlend(value) {
  chosen.blend = Math.min(1, Math.max(0, Math.round(value / BLEND_STEP) * BLEND_STEP));
  sendChoice();
}

function setAspect() {
  if (!size) return;
  const width = size[0] * (chosen.view === "side" ? 2 : 1);
  byId("stage").style.setProperty("--aspect", `${width} / ${size[1]}`);
}

function offer({ views, palettes }) {
  chosen.palette ??= palettes[0].name;
  byId("palette").replaceChildren(...palettes.map(({ name, title }) => new Option(title, name, false, name === chosen.palette)));
  byId("views").replaceChildren(...views.map(({ name, title, text }, index) => {
    const label = element("label");
    const radio = element("input");
    Object.assign(radio, { type: "radio", name: "view", id: `view-${name}`, value: name, checked: name === chosen.view });
    radio.onchange = () => setView(name);
    label.title = `${text} (${index + 1})`;
    label.append(radio, element("span", "", title));
    return label;
  }));
}

async function snapshot() {
  try {
    const { file, path, download } = await link.ask("snapshot");
    say(`Saved ${path} on the server. `);
    const save = element("a", "", "Download");
    Object.assign(save, { href: download, download: file, id: "download" });
    byId("message").append(save);
  } catch (error) {
    say(error.message, "bad");
  }
}

async function record() {
  if (isAsking) return;
  isAsking = true;
  try {
    const { recording, path } = await link.ask("recording", { recording: !isRecording });
    isRecording = recording;
    say(recording ? `Recording to ${path} on the server.` : `Recorded ${path} on the server.`);
  } catch (error) {
    say(error.message, "bad");
  }
  isAsking = false;
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else byId("stage").requestFullscreen?.();
}

link.addEventListener("welcome", ({ detail }) => {
  setLinked(true);
  offer(detail);
  report.begin(detail.history);
  picture.hasWebrtc = detail.webrtc;
  byId("transport").querySelector("[value=webrtc]").disabled = !detail.webrtc;
  sendChoice().then(() => picture.start());
  notice("");
});

link.addEventListener("status", ({ detail: status }) => {
  size = status.size;
  if (!isAsking) isRecording = status.recording !== null;
  picture.streamFrames = status.frames + status.frames_single;
  setAspect();
  report.show(status);
  alignment.show(status.alignment, size);
  const [name, text] = stateOf(status);
  setState(name, text);
  if (name === "ended") notice("The stream has ended");
  else if (picture.streamFrames === 0) notice("Waiting for the cameras", "The picture appears as soon as one of them sends.");
  else notice("");
});

link.addEventListener("ended", () => {
  setState("ended", "Ended");
  notice("The stream has ended", "The page goes on by itself when a new one starts here.");
});

link.addEventListener("gone", ({ detail: { pause, hasEnded } }) => {
  setLinked(false);
  picture.stop();
  if (hasEnded) return;
  setState("gone", "Server gone");
  notice("The server is gone", `Trying again in ${(pause / 1000).toLocaleString()} s …`);
});

picture.addEventListener("way", ({ detail }) => { byId("transport").title = `Picture by ${detail}`; byId("stage").dataset.way = detail; });

byId("palette").onchange = () => { chosen.palette = byId("palette").value; sendChoice(); };
byId("blend").oninput = () => setBlend(byId("blend").valueAsNumber);
byId("transport").onchange = () => { picture.wish = byId("transport").value; picture.start(); };
byId("snapshot").onclick = snapshot;
byId("record").onclick = record;
byId("fullscreen").onclick = fullscreen;
byId("help").onclick = () => byId("shortcuts").showModal();

const keys = {
  ",": () => setBlend(chosen.blend - BLEND_STEP),
  ".": () => setBlend(chosen.blend + BLEND_STEP),
  p: () => {
    const choices = byId("palette");
    choices.selectedIndex = (choices.selectedIndex + 1) % choices.length;
    choices.onchange();
  },
  s: snapshot,
  r: record,
  f: fullscreen,
  a: () => alignment.toggleDragging(),
  "?": () => byId("shortcuts").showModal(),
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input:not([type=radio]):not([type=range]), select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const views = byId("views").querySelectorAll("input");
  if (event.key >= "1" && event.key <= String(views.length)) setView(views[event.key - 1].value);
  else if (event.key.toLowerCase() in keys) keys[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
});

link.open();
