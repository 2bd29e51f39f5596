// Alignment by hand: drags, wheel, fingers, keys and fields become small steps that are sent one after the other.

const byId = (id) => document.getElementById(id);
const NEUTRAL = { dx_px: 0, dy_px: 0, scale: 1, rotation_deg: 0 };
const WHEEL_SCALE = 1.004, WHEEL_TURN_DEG = 0.2;

export class Alignment {
  constructor(link, { say, chooseView }) {
    this.link = link;
    this.say = say;
    this.chooseView = chooseView;
    this.step = { ...NEUTRAL };
    this.isSending = false;
    this.state = { available: false };
    this.pointers = new Map();
    this.surface = byId("drag");
    this.#bind();
  }

  get isDragging() {
    return !this.surface.hidden;
  }

  // What the server says of the calibration; fields that are being edited stay.
  show(state, size) {
    this.state = state;
    this.size = size;
    byId("alignment-state").textContent = !state.available ? "waits for both cameras"
      : state.has_changed ? "changed, not saved" : state.method.replace("_", " ");
    for (const button of byId("alignment").querySelectorAll("button, input")) button.disabled = !state.available;
    if (!state.available) return;
    byId("distance-field").hidden = !state.has_parallax;
    const values = {
      dx: state.dx_px.toFixed(1), dy: state.dy_px.toFixed(1), scale: (100 * state.scale).toFixed(1),
      rotation: state.rotation_deg.toFixed(1), distance: state.distance_m?.toFixed(1) ?? "",
    };
    for (const [id, value] of Object.entries(values)) {
      if (document.activeElement !== byId(id)) byId(id).value = value;
    }
  }

  toggleDragging() {
    const on = !this.isDragging;
    if (on && !this.state.available) return;
    this.surface.hidden = !on;
    byId("drag-mode").setAttribute("aria-pressed", String(on));
    if (on) {
      byId("alignment").open = true;
      this.chooseView((view) => (["visible", "side"].includes(view) ? "edges" : view));
      this.surface.focus();
    }
  }

  // Keys on the picture; returns whether this was one of them.
  key(event) {
    const reach = event.shiftKey ? 10 : 1;
    const steps = {
      ArrowLeft: { dx_px: -reach }, ArrowRight: { dx_px: reach },
      ArrowUp: { dy_px: -reach }, ArrowDown: { dy_px: reach },
      "+": { scale: 1.005 }, "=": { scale: 1.005 }, "-": { scale: 1 / 1.005 },
      "[": { rotation_deg: -0.2 }, "]": { rotation_deg: 0.2 },
    };
    if (!(event.key in steps)) return false;
    this.#move(steps[event.key]);
    return true;
  }

  #bind() {
    byId("drag-mode").onclick = () => this.toggleDragging();
    byId("reset-alignment").onclick = () => this.#ask("reset", "Back to the calibration before.");
    byId("save-alignment").onclick = () => this.#ask("save", null);
    const surface = this.surface;
    surface.onpointerdown = (event) => {
      surface.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    };
    surface.onpointermove = (event) => this.#dragged(event);
    surface.onpointerup = surface.onpointercancel = (event) => this.pointers.delete(event.pointerId);
    surface.addEventListener("wheel", (event) => {
      event.preventDefault();
      const notches = -(event.deltaY || event.deltaX) / 100;
      this.#move(event.shiftKey ? { rotation_deg: notches * WHEEL_TURN_DEG * 5 } : { scale: WHEEL_SCALE ** (5 * notches) });
    }, { passive: false });
    surface.addEventListener("keydown", (event) => this.key(event) && event.preventDefault());
    const field = (id, step) => {
      byId(id).onchange = () => {
        const value = byId(id).valueAsNumber;
        if (Number.isFinite(value)) this.#move(step(value));
      };
    };
    field("dx", (value) => ({ dx_px: value - this.state.dx_px }));
    field("dy", (value) => ({ dy_px: value - this.state.dy_px }));
    field("scale", (value) => ({ scale: value / 100 / this.state.scale }));
    field("rotation", (value) => ({ rotation_deg: value - this.state.rotation_deg }));
    field("distance", (value) => ({ distance_m: value }));
  }

  #dragged(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    this.pointers.set(event.pointerId, now);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const perPixel = this.#streamPixelsPerPixel();
    const [dx, dy] = [(now[0] - before[0]) * perPixel, (now[1] - before[1]) * perPixel];
    if (others.length === 0) return this.#move({ dx_px: dx, dy_px: dy });
    // Two fingers: each of them moves the middle by half, and the line between them scales and turns.
    const [was, is] = [before, now].map(([x, y]) => [x - others[0][0], y - others[0][1]]);
    const turn = Math.atan2(is[1], is[0]) - Math.atan2(was[1], was[0]);
    this.#move({
      dx_px: dx / 2, dy_px: dy / 2, scale: Math.hypot(...is) / Math.max(1, Math.hypot(...was)),
      rotation_deg: (Math.atan2(Math.sin(turn), Math.cos(turn)) * 180) / Math.PI,
    });
  }

  #streamPixelsPerPixel() {
    const { width, height } = this.surface.getBoundingClientRect();
    return this.size ? Math.max(this.size[0] / width, this.size[1] / height) : 1;
  }

  // Steps that come while one is on its way are added up.
  #move({ dx_px = 0, dy_px = 0, scale = 1, rotation_deg = 0, distance_m }) {
    this.step.dx_px += dx_px;
    this.step.dy_px += dy_px;
    this.step.scale *= scale;
    this.step.rotation_deg += rotation_deg;
    if (distance_m !== undefined) this.step.distance_m = distance_m;
    this.#send();
  }

  async #send() {
    if (this.isSending) return;
    this.isSending = true;
    try {
      while (JSON.stringify(this.step) !== JSON.stringify(NEUTRAL)) {
        const step = this.step;
        this.step = { ...NEUTRAL };
        const answer = await this.link.ask("alignment/adjust", step);
        this.show(answer.alignment, this.size);
      }
    } catch (error) {
      this.say(error.message, "bad");
    } finally {
      this.isSending = false;
    }
  }

  async #ask(what, text) {
    try {
      const answer = await this.link.ask(`alignment/${what}`);
      this.show(answer.alignment, this.size);
      this.say(text ?? `Saved to ${answer.path}`);
    } catch (error) {
      this.say(error.message, "bad");
    }
  }
}
