// The stream's state in words and figures.

import { Chart } from "/static/chart.js";

const byId = (id) => document.getElementById(id);

export class Report {
  constructor() {
    this.chart = new Chart(byId("chart"));
  }

  // What was before this page was opened: [age in seconds, {stage: median in ms}].
  begin(history) {
    this.chart.clear();
    for (const [age, medians] of history) this.chart.add(new Map(Object.entries(medians)), 1000 * age);
  }

  show(status) {
    for (const [id, value] of Object.entries(figures(status))) write(byId(id), value);
    byId("about").textContent = status.backend;
    byId("about").title = status.backend;
    showCameras(status.sources);
    showEvents(status.events);
    this.#showStages(status.stages);
    const isRecording = status.recording !== null;
    byId("recording").hidden = !isRecording;
    byId("recording").title = status.recording ?? "";
    byId("record").setAttribute("aria-pressed", String(isRecording));
    byId("record").textContent = isRecording ? "Stop" : "Record";
  }

  #showStages(stages) {
    const known = Object.entries(stages).filter(([, values]) => values !== null);
    this.chart.add(new Map(known.map(([name, values]) => [name, values.p50])));
    this.chart.draw();
    byId("stages").replaceChildren(...known.map(([name, values]) => {
      const row = element("tr");
      const head = element("th");
      head.scope = "row";
      const swatch = element("span", "swatch");
      swatch.style.background = this.chart.colour(name);
      head.append(swatch, name);
      row.append(head, ...[values.p50, values.p95, values.p99].map((ms) => element("td", "", digits(ms))));
      return row;
    }));
  }
}

export function stateOf(status) {
  if (status.has_ended) return ["ended", "Ended"];
  const live = status.sources.filter((source) => source.state === "live");
  if (live.length === 2) return ["live", "Live"];
  if (live.length === 1) return ["single", `${capital(live[0].name)} only`];
  if (status.sources.every((source) => source.state === "ended")) return ["ended", "Ended"];
  return ["connecting", "No camera"];
}

export function element(kind, className = "", text = "") {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function figures(status) {
  const dropped = status.sources.reduce((sum, source) => sum + source.dropped, 0);
  return {
    rate: [status.rate_hz.toFixed(1), "frames/s"],
    latency: pair(status.latency),
    skew: pair(status.skew),
    dropped: [String(dropped), status.dropped_by_sinks ? `${status.dropped_by_sinks} by outputs` : "by cameras"],
    frames: [String(status.frames), `${status.frames_single} of one camera`],
    viewers: [String(status.viewers), `${status.encodes} encode${status.encodes === 1 ? "" : "s"}`],
  };
}

function pair(values) {
  return values ? [duration(values.p50), `p99 ${duration(values.p99)}`] : ["–", ""];
}

function write(target, [main, small]) {
  const text = `${main}\n${small}`;
  if (target.dataset.text === text) return;
  target.dataset.text = text;
  target.replaceChildren(main, element("small", "", small));
}

function showCameras(sources) {
  byId("cameras").replaceChildren(...sources.map((source) => {
    const row = element("div", "camera");
    row.dataset.state = source.state;
    const size = source.size ? ` · ${source.size[0]}×${source.size[1]}` : "";
    const reconnects = source.reconnects ? ` · reconnected ${source.reconnects}×` : "";
    const detail = `${source.received} frames, ${source.dropped} dropped${size}${reconnects}`;
    row.append(
      element("span", "dot"), element("span", "name", source.name), element("span", "state", source.state),
      element("span", "detail", detail), element("span", "detail", source.uri),
    );
    return row;
  }));
}

function showEvents(events) {
  const rows = events.toReversed().map((event) => {
    const row = element("li");
    row.append(element("time", "", age(event.age_s)), element("span", "", `${event.source}: ${event.message}`));
    return row;
  });
  byId("events").replaceChildren(...(rows.length ? rows : [element("li", "none", "Nothing happened yet.")]));
}

function age(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

function duration(ms) {
  return ms < 999.5 ? `${digits(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function digits(ms) {
  return ms < 9.95 ? ms.toFixed(1) : String(Math.round(ms));
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
