"""Network streams: real servers on loopback, and what they do wrong."""

from __future__ import annotations

import functools
import http.server
import io
import itertools
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import av
import numpy as np
import pytest
from rtsp_process import RtspServer, missing_reason

from refusion.errors import InputError
from refusion.stream.sources import Reader, SourceLostError, SourceOptions, TimedImage, network, open_source
from refusion.stream.video_writer import VideoWriter

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="no ffmpeg in the path")
no_rtsp_server = missing_reason()
needs_rtsp_server = pytest.mark.skipif(no_rtsp_server is not None, reason=str(no_rtsp_server))

SIZE = (160, 120)


def clip(path: Path, *, size: tuple[int, int] = SIZE, count: int = 25) -> Path:
    """Write a clip whose frames differ, with detail that a damaged packet destroys."""
    texture = np.random.default_rng(0).integers(0, 160, (size[1], size[0], 3), np.uint8)
    with VideoWriter(path, rate=25, size=size) as writer:
        for index in range(count):
            writer.write(np.roll(texture, 3 * index, axis=1) + np.uint8(2 * index))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    folder = tmp_path_factory.mktemp("clips")
    small, large = clip(folder / "small.mp4"), clip(folder / "large.mp4", size=(320, 240))
    mounts = {name: str(small) for name in ("ir", "whole", "damaged", "broken")}
    mounts["changing"] = f"{small},{large}"
    arguments = [text for name, clips in mounts.items() for text in ("--mount", f"{name}={clips}")]
    damage = ("--damage", "damaged=9", "--damage", "broken=1")
    with RtspServer(*arguments, "--rate", "ir=10", *damage) as running:
        yield running


def opened(address: str, stop: threading.Event | None = None, **options: str) -> Reader:
    return open_source(address, SourceOptions(**options)).open(stop or threading.Event())  # type: ignore[arg-type]


def read(reader: Reader, count: int) -> list[TimedImage]:
    found = [reader.read() for _ in range(count)]
    return [timed for timed in found if timed is not None]


@needs_rtsp_server
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_frames_come_with_the_times_of_the_stream(server: RtspServer, transport: str) -> None:
    with closing(opened(server.url("ir"), rtsp_transport=transport)) as reader:
        frames = read(reader, 12)
    assert {timed.image.shape for timed in frames} == {(SIZE[1], SIZE[0], 3)}
    assert reader.rate_hz == pytest.approx(10, rel=0.01)
    times_ns = [timed.time_ns for timed in frames]
    assert times_ns == sorted(set(times_ns))
    assert times_ns[-1] <= time.monotonic_ns()
    # Whatever the machine does meanwhile, frames are a tenth of a second apart once the first ones were read.
    assert np.median(np.diff(times_ns[6:])) == pytest.approx(10**8, rel=0.05)


@needs_rtsp_server
def test_damaged_frames_are_left_out_to_the_next_key_frame(server: RtspServer) -> None:
    with closing(opened(server.url("damaged"))) as reader:
        frames = read(reader, 20)
    assert reader.damaged > 0
    assert len(frames) == 20
    with closing(opened(server.url("whole"))) as whole:
        expected = [timed.image.astype(np.int16) for timed in read(whole, 25)]
    for timed in frames:
        # Smeared frames are 20 levels off in the mean. No decoder notices all damage: what is left is faint.
        assert min(np.abs(timed.image - other).mean() for other in expected) < 5


@needs_rtsp_server
def test_a_stream_without_a_whole_picture_is_given_up(
    server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "PICTURE_TIMEOUT_S", 1.0)
    with closing(opened(server.url("broken"))) as reader:
        with pytest.raises(SourceLostError, match="no whole picture in 1 s of packets"):
            read(reader, 100)
        assert reader.damaged > 0


@needs_rtsp_server
def test_a_stream_that_changes_its_size_gives_both_sizes(server: RtspServer) -> None:
    with closing(opened(server.url("changing"))) as reader:
        sizes = {timed.image.shape[:2] for timed in read(reader, 40)}
    assert sizes == {(120, 160), (240, 320)}


@needs_rtsp_server
def test_no_such_stream(server: RtspServer) -> None:
    with pytest.raises(
        InputError, match=f"^rtsp://127.0.0.1:{server.port}/none is not there: .*no such stream"
    ):
        opened(server.url("none"))


@needs_rtsp_server
def test_password(tmp_path: Path) -> None:
    login = ("--user", "admin", "--password", "geheim")
    with RtspServer("--mount", f"ir={clip(tmp_path / 'a.mp4', count=5)}", *login) as server:
        with closing(opened(server.url("ir", "admin:geheim@"))) as reader:
            assert reader.read() is not None
        for wrong in ("", "admin:falsch@"):
            with pytest.raises(InputError, match="refuses this user name and password") as caught:
                opened(server.url("ir", wrong))
            assert "falsch" not in str(caught.value)


@needs_rtsp_server
def test_a_server_that_dies_is_noticed(tmp_path: Path) -> None:
    with RtspServer("--mount", f"ir={clip(tmp_path / 'a.mp4')}") as server:
        with closing(opened(server.url("ir"))) as reader:
            assert reader.read() is not None
            server.kill()
            with pytest.raises(SourceLostError, match="the server ended the stream|the connection broke"):
                read(reader, 100)
        with pytest.raises(SourceLostError, match="connection refused"):
            opened(server.url("ir"))


@contextmanager
def streaming(*arguments: str) -> Iterator[None]:
    assert FFMPEG is not None
    command = [FFMPEG, "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=s=160x120:r=25", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def opened_soon(address: str) -> Reader:
    """Open a stream whose server is about to start."""
    for _ in range(50):
        try:
            return opened(address)
        except SourceLostError:
            time.sleep(0.1)
    raise AssertionError(f"{address} cannot be opened")


H264 = ("-c:v", "libx264", "-tune", "zerolatency", "-g", "12")
TRANSPORTS = [
    pytest.param("http", ("-c:v", "mjpeg", "-f", "mpjpeg", "-listen", "1"), id="mjpeg over http"),
    pytest.param("http", (*H264, "-f", "mpegts", "-listen", "1"), id="mpegts over http"),
    pytest.param("tcp", (*H264, "-f", "mpegts"), id="mpegts over tcp"),
    pytest.param("udp", (*H264, "-f", "mpegts"), id="mpegts over udp"),
]


@needs_ffmpeg
@pytest.mark.parametrize(("scheme", "arguments"), TRANSPORTS)
def test_other_streams(scheme: str, arguments: tuple[str, ...]) -> None:
    port = free_port()
    address = f"{scheme}://127.0.0.1:{port}"
    served = f"{address}?listen=1" if scheme == "tcp" else address
    with streaming(*arguments, served), closing(opened_soon(address)) as reader:
        frames = read(reader, 15)
    assert {timed.image.shape for timed in frames} == {(120, 160, 3)}
    assert reader.rate_hz is not None
    times_ns = [timed.time_ns for timed in frames]
    assert times_ns == sorted(set(times_ns))
    assert times_ns[-1] <= time.monotonic_ns()


def transport_stream(count: int) -> list[bytes]:
    """Return an MPEG transport stream of noise at 10 Hz, cut where frames begin; its tables come first."""
    written = io.BytesIO()
    with av.open(written, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=10, options={"tune": "zerolatency", "g": "8"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(count):
            noise = np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="bgr24")))
    packets = [written.getvalue()[start : start + 188] for start in range(0, written.tell(), 188)]
    # A frame begins in a packet of the first stream (256) that has the start indicator.
    begins = [n for n, packet in enumerate(packets) if (packet[1] & 0x5F, packet[2]) == (0x41, 0)]
    return [b"".join(packets[begin:end]) for begin, end in itertools.pairwise([0, *begins, len(packets)])]


@contextmanager
def sending(chunks: list[bytes], period_s: float) -> Iterator[tuple[str, list[int]]]:
    """Serve chunks over TCP, one a period; gives the address, and when each was sent."""
    sent_ns: list[int] = []
    is_read = threading.Event()

    def serve() -> None:
        client, _ = listening.accept()
        # The client leaves when it has seen enough.
        with client, suppress(ConnectionError):
            for chunk in chunks:
                sent_ns.append(time.monotonic_ns())
                client.sendall(chunk)
                time.sleep(period_s)
            is_read.wait()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            yield f"tcp://127.0.0.1:{listening.getsockname()[1]}", sent_ns
        finally:
            is_read.set()
            serving.join()


def test_frames_that_ffmpeg_holds_back_have_the_time_at_which_they_were_sent() -> None:
    with sending(transport_stream(20), 0.1) as (address, sent_ns), closing(opened(address)) as reader:
        frames = read(reader, 16)
    late_ms = [(timed.time_ns - sent) / 1e6 for timed, sent in zip(frames, sent_ns[1:], strict=False)]
    assert np.median(late_ms[8:]) == pytest.approx(0, abs=50)


def test_lost_packets_of_a_transport_stream_are_noticed() -> None:
    chunks = transport_stream(32)
    whole = chunks[12]
    chunks[12] = whole[: 188 * 2] + whole[188 * 4 :]
    with sending(chunks, 0.01) as (address, _), closing(opened(address)) as reader:
        shown = {round(float(timed.image.mean()), 3) for timed in read(reader, 20)}
        damaged = reader.damaged
    with sending(transport_stream(32), 0.01) as (address, _), closing(opened(address)) as reader:
        expected = {round(float(timed.image.mean()), 3) for timed in read(reader, 26)}
    assert damaged > 0
    # Frame 11 was hit; the next key frame is number 16.
    assert shown < expected


@needs_ffmpeg
def test_a_recording_over_http_is_no_live_stream(tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{serving.server_port}"
        with pytest.raises(InputError, match="a.mp4 is a recording of 1.0 s, no live stream; download it"):
            opened(f"{address}/a.mp4")
        with pytest.raises(InputError, match="none.mp4 is not there"):
            opened(f"{address}/none.mp4")
        serving.shutdown()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that lets clients connect and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp", "udp"])
def test_waiting_for_a_silent_server_can_be_stopped(scheme: str, silent_port: int) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began_s = time.monotonic()
    with pytest.raises(SourceLostError):
        opened(f"{scheme}://127.0.0.1:{silent_port}", stop)
    # Without the stop it takes three seconds.
    assert time.monotonic() - began_s < 2


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://[::bad/x", "http://[::bad/x is no address that can be opened"),
        ("rtsp://admin:geheim@127.0.0.1:{port}/x", "connection refused"),
        ("http://no-such-host.invalid/x", "the host is unknown or does not answer"),
    ],
)
def test_addresses_that_lead_nowhere(address: str, message: str) -> None:
    with pytest.raises((InputError, SourceLostError)) as caught:
        opened(address.format(port=free_port()))
    assert message in str(caught.value)
