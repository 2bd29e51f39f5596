// Lines over the last two minutes, one for each stage; logarithmic, as the network takes a hundred times the rest.

const SPAN_MS = 120_000;
const COLOURS = 8;
const LEAST_MS = 0.1;

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.points = []; // [time in ms, Map of name to value]
    this.names = [];
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.draw());
  }

  add(values, ageMs = 0) {
    const now = performance.now();
    for (const name of values.keys()) if (!this.names.includes(name)) this.names.push(name);
    this.points.push([now - ageMs, values]);
    while (this.points.length && this.points[0][0] < now - SPAN_MS) this.points.shift();
  }

  clear() {
    this.points = [];
  }

  colour(name) {
    const number = (this.names.indexOf(name) % COLOURS) + 1;
    return getComputedStyle(this.canvas).getPropertyValue(`--series-${number}`).trim();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const soft = style.getPropertyValue("--soft"), line = style.getPropertyValue("--line");
    const left = 34, right = width - 4, top = 8, bottom = height - 18;
    const all = this.points.flatMap(([, values]) => [...values.values()]);
    const decades = Math.max(2, Math.ceil(Math.log10(Math.max(1, ...all) / LEAST_MS)));
    const y = (value) => bottom - (Math.log10(Math.max(value, LEAST_MS) / LEAST_MS) / decades) * (bottom - top);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = soft;
    pen.strokeStyle = line;
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let decade = 0; decade <= decades; decade++) {
      const value = LEAST_MS * 10 ** decade;
      const at = Math.round(y(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(left, at);
      pen.lineTo(right, at);
      pen.stroke();
      pen.fillText(value < 999 ? String(+value.toPrecision(1)) : `${Math.round(value / 1000)} s`, left - 6, at);
    }
    pen.textBaseline = "bottom";
    pen.fillText("now", right, height);
    pen.textAlign = "left";
    pen.fillText("2 min ago", left, height);
    const now = this.points.at(-1)?.[0] ?? 0;
    const x = (time) => right - ((now - time) / SPAN_MS) * (right - left);
    pen.lineWidth = 1.8;
    pen.lineJoin = "round";
    for (const name of this.names) {
      pen.strokeStyle = this.colour(name);
      pen.beginPath();
      let isDown = false;
      for (const [time, values] of this.points) {
        if (!values.has(name)) { isDown = false; continue; }
        if (isDown) pen.lineTo(x(time), y(values.get(name)));
        else pen.moveTo(x(time), y(values.get(name)));
        isDown = true;
      }
      pen.stroke();
    }
  }
}
