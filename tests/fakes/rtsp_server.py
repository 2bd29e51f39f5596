"""An RTSP server on loopback that plays video files over and over, as cameras would.

Runs under a Python with the GObject bindings of gst-rtsp-server; on Debian the system's, with the package
gir1.2-gst-rtsp-server-1.0:

    /usr/bin/python3 rtsp_server.py --port 8554 --mount ir=ir.mp4 --mount visible=visible.mp4

Files are encoded once, at the start, as cameras encode (H.264, no B frames, a key frame a second); then
packets are only repeated, which costs next to no processor time. Prints `ready PORT` once it listens.
"""

from __future__ import annotations

import argparse
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CAPS = "video/x-h264,stream-format=byte-stream,alignment=au"
RATE_HZ = 25


def encoded(path: str) -> list[bytes]:
    """Return a file's frames as H.264 access units; the first is a key frame with its parameter sets."""
    pipeline = Gst.parse_launch(
        f'filesrc location="{path}" ! decodebin ! videoconvert ! video/x-raw,format=I420 ! '
        f"x264enc tune=zerolatency speed-preset=ultrafast key-int-max={RATE_HZ} bitrate=4000 threads=1 ! "
        f"h264parse config-interval=-1 ! {CAPS} ! appsink name=sink sync=false"
    )
    pipeline.set_state(Gst.State.PLAYING)
    sink = pipeline.get_by_name("sink")
    units = []
    while (sample := sink.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        units.append(buffer.extract_dup(0, buffer.get_size()))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        sys.exit(f"no frames in {path}")
    return units


def damaged(unit: bytes) -> bytes:
    """Return an access unit without its end, as lost packets leave it."""
    return unit[: len(unit) * 2 // 3]


class Camera(GstRtspServer.RTSPMediaFactory):
    """Plays access units in a loop; all clients see one stream."""

    def __init__(self, units: list[bytes], rate_hz: float, damage_every: int) -> None:
        super().__init__()
        self.units, self.duration, self.damage_every = units, round(Gst.SECOND / rate_hz), damage_every
        self.set_shared(True)
        self.set_latency(0)

    def do_create_element(self, url: object) -> Gst.Element:
        """Return the pipeline of a new stream."""
        bin_ = Gst.parse_launch(
            f"( appsrc name=source format=time max-bytes=1 caps={CAPS} ! rtph264pay name=pay0 pt=96 )"
        )
        count = 0

        def give_one(source: Gst.Element, _: int) -> None:
            nonlocal count
            unit = self.units[count % len(self.units)]
            if self.damage_every and count % self.damage_every == self.damage_every - 1:
                unit = damaged(unit)
            buffer = Gst.Buffer.new_wrapped(unit)
            buffer.pts = buffer.dts = count * self.duration
            buffer.duration = self.duration
            count += 1
            source.emit("push-buffer", buffer)

        bin_.get_by_name("source").connect("need-data", give_one)
        return bin_


def require_login(
    server: GstRtspServer.RTSPServer, factories: list[Camera], user: str, password: str
) -> None:
    """Let in whoever knows user and password, by digest."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, user)
    auth.set_supported_methods(2)  # GstRtsp.RTSPAuthMethod.DIGEST
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    for factory in factories:
        factory.add_role_from_structure(
            Gst.Structure.from_string(f"{user},media.factory.access=true,media.factory.construct=true")[0]
        )


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument(
        "--mount",
        action="append",
        required=True,
        metavar="NAME=FILE[,FILE...]",
        help="rtsp://127.0.0.1:PORT/NAME plays the files one after the other, over and over",
    )
    parser.add_argument("--rate", action="append", default=[], metavar="NAME=HZ", help="default: 25")
    parser.add_argument("--damage", action="append", default=[], metavar="NAME=N", help="each Nth frame")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    arguments = parser.parse_args()
    rates, damage = (dict(text.split("=") for text in texts) for texts in (arguments.rate, arguments.damage))

    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=str(arguments.port))
    factories = []
    for mount in arguments.mount:
        name, _, paths = mount.partition("=")
        units = [unit for path in paths.split(",") for unit in encoded(path)]
        factory = Camera(units, float(rates.get(name, RATE_HZ)), int(damage.get(name, 0)))
        server.get_mount_points().add_factory(f"/{name}", factory)
        factories.append(factory)
    if arguments.user:
        require_login(server, factories, arguments.user, arguments.password)
    if not server.attach(None):
        sys.exit(f"port {arguments.port} is taken")

    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    print(f"ready {server.get_bound_port()}", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
