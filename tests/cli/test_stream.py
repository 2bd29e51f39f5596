"""`refusion stream` on recordings and on the synthetic scene."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from refusion import UsageError
from refusion.alignment import Calibration
from refusion.cli.stream_options import address_of, size_of, span_of
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video import VideoReader
from refusion.stream.video_writer import VideoWriter

Command = Callable[..., Any]

ENDLESS = "synthetic:?width=64&height=48"
SHORT = "synthetic:?width=64&height=48&frames=5"


def frames_of(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as video:
        return list(video)


def test_two_videos_to_a_video_and_a_report(cli: Command, videos: tuple[Path, Path], tmp_path: Path) -> None:
    outcome = cli(
        *("stream", "--ir", videos[0], "--visible", videos[1], "--out", "out.mp4", "--report", "report.json")
    )
    assert outcome.status == 0, outcome.err
    assert "4 frames fused, 0 of one camera alone" in outcome.out
    assert "wrote out.mp4" in outcome.out
    assert len(frames_of(tmp_path / "out.mp4")) == 4
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["frames"] == {"fused": 4, "single": 0, "dropped_by_sinks": 0}
    assert [one["dropped"] for one in report["sources"]] == [0, 0]
    assert report["skew"]["p99_ms"] < 1
    assert {"thermal", "pre", "network", "post", "view", "encode"} <= set(report["stages"])


def test_stream_of_a_video_is_what_fuse_makes_of_it(
    cli: Command, videos: tuple[Path, Path], tmp_path: Path
) -> None:
    assert cli("fuse", *videos, "-o", "fused.mp4").status == 0
    assert cli("stream", "--ir", videos[0], "--visible", videos[1], "-o", "streamed.mp4").status == 0
    for fused, streamed in zip(
        frames_of(tmp_path / "fused.mp4"), frames_of(tmp_path / "streamed.mp4"), strict=True
    ):
        # Recordings are encoded without looking ahead, so the two are not equal to the bit.
        assert np.abs(fused.astype(int) - streamed).mean() < 4


def test_folder_of_pictures_and_a_view(cli: Command, tmp_path: Path) -> None:
    command = ("stream", "--ir", SHORT, "--visible", SHORT, "--out", "frames", "--view", "side")
    assert cli(*command, "--palette", "ironbow", "--max-frames", 3).status == 0
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["000000.png", "000001.png", "000002.png"]
    assert cv2.imread(str(tmp_path / "frames" / names[0])).shape == (48, 128, 3)
    outcome = cli(*command)
    assert outcome.status == 1
    assert outcome.error_lines == [
        "error: frames has files already; give --force to add to them and replace some"
    ]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_signal_ends_an_endless_stream_with_a_whole_file(tmp_path: Path, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as under nohup")
    out = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "refusion", "stream", "--ir", ENDLESS, "--visible", ENDLESS]
    process = subprocess.Popen(
        [*command, "--out", str(out), "--report", str(tmp_path / "report.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.partial.mp4")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        printed, problems = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, problems
    assert f"wrote {out}" in printed
    count = json.loads((tmp_path / "report.json").read_text())["frames"]["fused"]
    assert len(frames_of(out)) == count > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "report.json"]


def test_small_thermal_folder_at_9_hz_with_a_large_visible_video_at_30_hz(
    cli: Command, tmp_path: Path
) -> None:
    """The everyday case: 16 bits, another size, field of view and rate, and a calibration."""
    (tmp_path / "ir").mkdir()
    scene = SyntheticScene(width_px=320, height_px=180, rate_hz=30)
    # Infrared sees the middle of the picture, at a quarter of the resolution.
    calibration = Calibration(
        (40, 30), (320, 180), np.array([[0.25, 0, -20.0], [0, 0.25, -7.5], [0, 0, 1.0]])
    )
    calibration.save(tmp_path / "calibration.yaml", force=False)
    with VideoWriter(tmp_path / "visible.mp4", rate=30, size=(320, 180)) as writer:
        for index in range(10):
            writer.write(scene.pair(index).b)
    for index in range(4):
        infrared = cv2.warpAffine(
            scene.pair(round(index * 30 / 9)).a, calibration.homography[:2], (40, 30), flags=cv2.INTER_LINEAR
        )
        raw = 7000 + 4 * infrared.astype(np.uint16)
        cv2.imwrite(str(tmp_path / "ir" / f"{index:03d}.png"), raw)

    outcome = cli(
        *("stream", "--ir", "ir", "--ir-rate-hz", 9, "--visible", "visible.mp4", "--out", "out.mp4"),
        *("--calibration", "calibration.yaml", "--report", "report.json"),
    )
    assert outcome.status == 0, outcome.err
    fused = frames_of(tmp_path / "out.mp4")
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(fused) == report["frames"]["fused"] == 10
    assert report["skew"]["p99_ms"] <= 1000 / 9 / 2 + 1
    assert fused[0].shape[2] == 3
    assert all(np.ptp(frame, axis=2).max() > 10 for frame in fused)  # in colour
    # What infrared adds lies where it belongs: closer to the true infrared than to one 8 pixels beside it.
    added = [cv2.cvtColor(one, cv2.COLOR_BGR2GRAY).astype(float) for one in fused]
    truth = scene.pair(0).a[40:140, 90:230].astype(float)
    right = np.corrcoef(added[0][40:140, 90:230].ravel(), truth.ravel())[0, 1]
    beside = np.corrcoef(added[0][40:140, 98:238].ravel(), truth.ravel())[0, 1]
    assert right > beside


def _occupied() -> tuple[socket.socket, int]:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    return taken, taken.getsockname()[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing would be done with the picture: give --out, --serve, --window or --report"),
        (["--out", "out.avi"], "out.avi cannot be written: videos are written as MP4, so name it NAME.mp4"),
        (["--out", "missing/out.mp4"], "missing/out.mp4 cannot be written: there is no folder missing"),
        (["--out", "there.mp4"], "there.mp4 is there already; give --force to replace it"),
        (["--report", "missing/r.json"], "missing/r.json cannot be written: there is no folder missing"),
        (["--out", "o.mp4", "--view", "upside-down"], "there is no view 'upside-down'; choose one of "),
        (["--out", "o.mp4", "--palette", "plaid"], "there is no palette 'plaid'; choose one of "),
        (["--out", "o.mp4", "--agc", "loud"], "there is no gain control 'loud'; choose one of "),
        (["--out", "o.mp4", "--range", "wide"], "there is no range policy 'wide'; choose one of "),
        (["--out", "o.mp4", "--calibration", "none.yaml"], "none.yaml"),
        (["--serve", "somewhere"], "--serve wants HOST:PORT, as in 127.0.0.1:8080, not 'somewhere'"),
        (["--out", "o.mp4", "--ir-size", "160"], "--ir-size wants WIDTHxHEIGHT, as in 160x120, not '160'"),
        (["--out", "o.mp4", "--ir", "missing.mp4"], "missing.mp4"),
        (["--out", "o.mp4", "--ir", "/dev/video63"], "/dev/video63"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    cli: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "there.mp4").write_text("the user's own")
    before = sorted(tmp_path.iterdir())
    defaults = [] if "--ir" in arguments else ["--ir", SHORT]
    outcome = cli("stream", *defaults, "--visible", SHORT, *arguments)
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert message in line
    assert sorted(tmp_path.iterdir()) == before


def test_calibration_for_other_sizes(cli: Command, tmp_path: Path) -> None:
    Calibration.full_view((160, 120), (1280, 720)).save(tmp_path / "other.yaml", force=False)
    outcome = cli("stream", "--ir", SHORT, "--visible", SHORT, "-o", "o.mp4", "--calibration", "other.yaml")
    assert outcome.status == 1
    line = outcome.err.splitlines()[-1]
    assert line.startswith("error: ")
    assert "1280x720" in line
    assert "64x48" in line
    assert not (tmp_path / "o.mp4").exists()


def test_port_that_is_taken(cli: Command) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    taken, port = _occupied()
    with taken:
        outcome = cli("stream", "--ir", SHORT, "--visible", SHORT, "--serve", f"127.0.0.1:{port}")
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert f"port {port} of 127.0.0.1 is taken by another program" in line


def test_disk_that_fills_up_ends_the_stream_and_keeps_the_file(tmp_path: Path) -> None:
    limited = (
        "import resource, runpy, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))\n"
        "runpy.run_module('refusion', run_name='__main__')\n"
    )
    out = tmp_path / "out.mp4"
    done = subprocess.run(
        [sys.executable, "-c", limited, "stream", "--ir", ENDLESS, "--visible", ENDLESS, "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines == [
        f"error: {out} cannot be written: File too large; what was written until then is in {out}"
    ]
    assert len(frames_of(out)) >= 25
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:80", ("::1", 80)),
        (":8080", ("127.0.0.1", 8080)),
        ("8080", ("127.0.0.1", 8080)),
        ("camera.local:0", ("camera.local", 0)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:http", "host:70000"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="--serve wants HOST:PORT"):
        address_of(text)


def test_sizes_and_spans() -> None:
    assert size_of("160x120") == (160, 120)
    assert span_of("280:320.5") == (280.0, 320.5)
    assert span_of("20") == 20.0
    for text in ("0x5", "x", "160", "16-x9"):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            size_of(text)
    for text in ("warm", "1:2:3", ":", ""):
        with pytest.raises(UsageError, match="LOW:HIGH"):
            span_of(text)
