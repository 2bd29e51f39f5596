// The link to the server: one socket that brings the stream's state, and requests that change it.

const SILENCE_MS = 6000;
const PAUSES_MS = [500, 1000, 2000, 3000, 5000];

export class Link extends EventTarget {
  // Events: welcome (detail: what the server offers), status (detail), ended, gone.

  constructor() {
    super();
    this.viewer = null;
    this.failures = 0;
    this.hasEnded = false;
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    this.socket = socket;
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => socket.close(), SILENCE_MS);
    };
    heard();
    socket.onmessage = (event) => {
      heard();
      const message = JSON.parse(event.data);
      if (message.type === "welcome") {
        this.viewer = message.viewer;
        this.failures = 0;
        this.hasEnded = false;
      } else if (message.type === "ended") {
        this.hasEnded = true;
      }
      this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
    };
    socket.onclose = async () => {
      clearTimeout(silence);
      const wasOpen = this.viewer !== null;
      this.viewer = null;
      if (!wasOpen) await this.#askWhy();
      const pause = PAUSES_MS[Math.min(this.failures++, PAUSES_MS.length - 1)];
      this.dispatchEvent(new CustomEvent("gone", { detail: { pause, hasEnded: this.hasEnded } }));
      setTimeout(() => this.open(), pause);
    };
  }

  // Where the server does not know us (any more), the page itself asks for the token.
  async #askWhy() {
    try {
      const response = await fetch("/api/status");
      if (response.status === 401) location.reload();
    } catch {
      // The server is gone; open() tries again.
    }
  }

  async ask(what, fields = {}) {
    let response;
    try {
      response = await fetch(`/api/${what}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ viewer: this.viewer, ...fields }),
      });
    } catch {
      throw new Error("the server cannot be reached");
    }
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }
}
