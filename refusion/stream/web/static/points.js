// Alignment by points: the same places, marked in a still picture of each camera.

import { element } from "/static/report.js";

const byId = (id) => document.getElementById(id);
const CAMERAS = ["infrared", "visible"];
const LEAST = 4;

export class Points {
  constructor(link, { say, showAlignment }) {
    this.link = link;
    this.say = say;
    this.showAlignment = showAlignment;
    this.order = [];
    this.stills = Object.fromEntries(CAMERAS.map((camera) => [camera, new Still(camera, (at) => this.#add(camera, at))]));
    byId("pick-points").onclick = () => this.open();
    byId("points-refresh").onclick = () => this.#load();
    byId("points-cancel").onclick = () => byId("points").close();
    byId("points-undo").onclick = () => {
      const camera = this.order.pop();
      if (camera) this.stills[camera].points.pop();
      this.#draw();
    };
    byId("points-apply").onclick = () => this.#apply();
  }

  async open() {
    byId("points").showModal();
    await this.#load();
  }

  async #load() {
    this.order = [];
    byId("points-message").textContent = "";
    try {
      const pictures = await this.link.ask("stills");
      for (const camera of CAMERAS) this.stills[camera].load(pictures[camera]);
    } catch (error) {
      byId("points-message").textContent = error.message;
    }
    this.#draw();
  }

  #add(camera, at) {
    this.stills[camera].points.push(at);
    this.order.push(camera);
    this.#draw();
  }

  #draw() {
    const counts = CAMERAS.map((camera) => this.stills[camera].draw());
    byId("points-apply").disabled = counts[0] !== counts[1] || counts[0] < LEAST;
    byId("points-undo").disabled = this.order.length === 0;
  }

  async #apply() {
    try {
      const fields = Object.fromEntries(CAMERAS.map((camera) => [camera, this.stills[camera].points]));
      const answer = await this.link.ask("alignment/points", fields);
      byId("points").close();
      this.showAlignment(answer.alignment);
      const error = answer.residual_px === null ? "" : `; the points fit to ${answer.residual_px.toFixed(1)} px`;
      this.say(`Aligned by ${fields.infrared.length} points${error}. Save keeps it.`);
    } catch (error) {
      byId("points-message").textContent = error.message;
    }
  }
}

class Still {
  constructor(camera, add) {
    this.frame = byId(`still-${camera}`);
    this.count = byId(`count-${camera}`);
    this.points = [];
    this.size = [4, 3];
    this.frame.addEventListener("click", (event) => {
      const box = this.frame.getBoundingClientRect();
      const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      // The middle of the first pixel is (0, 0).
      this.cross = share.map((value, axis) => value * this.size[axis] - 0.5);
      add(this.cross);
    });
    this.frame.addEventListener("keydown", (event) => {
      const reach = event.shiftKey ? 10 : 1;
      const moves = { ArrowLeft: [-reach, 0], ArrowRight: [reach, 0], ArrowUp: [0, -reach], ArrowDown: [0, reach] };
      if (event.key in moves) {
        this.cross = this.cross.map((value, axis) => clamp(value + moves[event.key][axis], 0, this.size[axis] - 1));
        this.draw();
      } else if (event.key === "Enter") {
        add([...this.cross]);
      } else {
        return;
      }
      event.preventDefault();
    });
  }

  load({ address, width, height }) {
    this.points = [];
    this.size = [width, height];
    this.cross = [(width - 1) / 2, (height - 1) / 2];
    this.frame.style.setProperty("--aspect", `${width} / ${height}`);
    const image = element("img");
    image.src = address;
    image.alt = "";
    image.draggable = false;
    this.frame.replaceChildren(image);
  }

  draw() {
    for (const mark of this.frame.querySelectorAll(".mark")) mark.remove();
    if (!this.cross) return 0;
    this.points.forEach((point, index) => {
      const mark = this.#mark("mark", point);
      mark.append(element("b", "", String(index + 1)));
    });
    this.#mark("mark cross", this.cross);
    this.count.textContent = String(this.points.length);
    return this.points.length;
  }

  #mark(className, point) {
    const mark = element("span", className);
    mark.style.left = `${((point[0] + 0.5) / this.size[0]) * 100}%`;
    mark.style.top = `${((point[1] + 0.5) / this.size[1]) * 100}%`;
    this.frame.append(mark);
    return mark;
  }
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
