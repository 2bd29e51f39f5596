// The live picture: WebRTC where it works, else JPEGs over HTTP.

const FIRST_PICTURE_MS = 4000;
const STALL_MS = 4000;
const CHECK_MS = 1000;

export class Picture extends EventTarget {
  // Events: way (detail: "WebRTC · H264", "MJPEG" or "").

  constructor(link, video, image) {
    super();
    this.link = link;
    this.video = video;
    this.image = image;
    this.wish = "auto";
    this.hasWebrtc = false;
    this.failures = 0;
    this.streamFrames = 0; // How many the stream has shown; told from outside.
    this.run = 0;
    image.addEventListener("error", () => {
      if (image.hidden || !this.link.viewer) return;
      const run = this.run;
      setTimeout(() => run === this.run && this.#startMjpeg(), 1000);
    });
  }

  // Begin with a new connection to the server, or with another wish.
  start() {
    this.failures = 0;
    this.#next();
  }

  stop() {
    this.run++;
    clearInterval(this.timer);
    this.connection?.close();
    this.connection = null;
    this.video.srcObject = null;
  }

  #next() {
    this.stop();
    if (!this.link.viewer) return;
    const mayTry = this.hasWebrtc && "RTCPeerConnection" in window && this.wish !== "mjpeg";
    if (mayTry && (this.wish === "webrtc" || this.failures < 2)) this.#startWebrtc();
    else this.#startMjpeg();
  }

  #startMjpeg() {
    this.link.ask("webrtc/close").catch(() => {});
    this.video.hidden = true;
    this.image.hidden = false;
    this.image.src = `/mjpeg?viewer=${encodeURIComponent(this.link.viewer)}&run=${++this.run}`;
    this.dispatchEvent(new CustomEvent("way", { detail: "MJPEG" }));
  }

  async #startWebrtc() {
    const run = ++this.run;
    try {
      const connection = new RTCPeerConnection();
      this.connection = connection;
      const receiver = connection.addTransceiver("video", { direction: "recvonly" }).receiver;
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      connection.ontrack = (event) => {
        this.video.srcObject = event.streams[0] ?? new MediaStream([event.track]);
        this.video.play().catch(() => {});
      };
      connection.onconnectionstatechange = () => {
        if (connection.connectionState === "failed" && run === this.run) this.#failed();
      };
      await connection.setLocalDescription();
      await gathered(connection);
      const answer = await this.link.ask("webrtc", { sdp: connection.localDescription.sdp });
      if (run !== this.run) return;
      await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
      this.#watch(run, connection, answer.codec);
    } catch (error) {
      console.info("WebRTC:", error.message);
      if (run === this.run) this.#failed();
    }
  }

  // Pictures must come once the stream has some, and go on coming while the stream itself goes on.
  #watch(run, connection, codec) {
    let decoded = 0, losses = 0, streamFrames = 0;
    let deadline = performance.now() + FIRST_PICTURE_MS;
    this.timer = setInterval(async () => {
      const stats = [...(await connection.getStats()).values()].find((s) => s.type === "inbound-rtp");
      if (run !== this.run) return;
      const now = performance.now();
      if (stats && stats.framesDecoded > decoded) {
        if (decoded === 0) this.#show(codec);
        decoded = stats.framesDecoded;
        deadline = now + STALL_MS;
        this.failures = 0;
      } else if (!this.streamFrames || (decoded > 0 && this.streamFrames === streamFrames)) {
        deadline = now + STALL_MS;
      } else if (now > deadline) {
        this.#failed();
        return;
      }
      streamFrames = this.streamFrames;
      // The server shares its packets between viewers and does not see the browser's own requests (PLI).
      if (stats && stats.pliCount + stats.firCount > losses) {
        losses = stats.pliCount + stats.firCount;
        this.link.ask("webrtc/key").catch(() => {});
      }
    }, CHECK_MS);
    this.video.requestVideoFrameCallback?.(() => run === this.run && this.#show(codec));
  }

  #show(codec) {
    this.video.hidden = false;
    this.image.hidden = true;
    this.image.removeAttribute("src");
    this.dispatchEvent(new CustomEvent("way", { detail: `WebRTC · ${codec}` }));
  }

  #failed() {
    // What never showed a picture hardly will; what broke off may come back.
    this.failures += this.video.hidden ? 2 : 1;
    this.#next();
  }
}

// Without STUN servers all candidates are there within a moment.
function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, 1000);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
  });
}
