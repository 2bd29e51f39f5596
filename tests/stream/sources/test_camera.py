"""Cameras and GStreamer pipelines: what is asked of OpenCV, and what becomes of what it gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.stream.sources import SourceLostError, SourceOptions, open_source
from refusion.stream.sources.camera import Camera
from refusion.stream.sources.gstreamer import has_gstreamer

Y16 = cv2.VideoWriter.fourcc(*"Y16 ")
YUYV = cv2.VideoWriter.fourcc(*"YUYV")


class Device:
    """A camera as OpenCV shows it, of 8 by 6 pixels."""

    def __init__(self, *, has_y16: bool = False, form: str = "rows", is_open: bool = True) -> None:
        self.has_y16, self.form, self.is_open = has_y16, form, is_open
        self.properties: dict[int, float] = {
            cv2.CAP_PROP_FOURCC: YUYV,
            cv2.CAP_PROP_CONVERT_RGB: 1,
            cv2.CAP_PROP_FRAME_WIDTH: 8,
            cv2.CAP_PROP_FRAME_HEIGHT: 6,
        }
        self.frames_left = 5
        self.is_released = False

    def isOpened(self) -> bool:
        return self.is_open

    def set(self, prop: int, value: float, /) -> bool:
        if prop == cv2.CAP_PROP_FOURCC and value == Y16 and not self.has_y16:
            return False
        self.properties[prop] = value
        return True

    def get(self, prop: int, /) -> float:
        return self.properties.get(prop, 0)

    def read(self) -> tuple[bool, NDArray[Any] | None]:
        if self.frames_left == 0:
            return False, None
        self.frames_left -= 1
        self.properties[cv2.CAP_PROP_POS_MSEC] = time.monotonic_ns() / 1e6 - 30
        if self.properties[cv2.CAP_PROP_FOURCC] != Y16:
            return True, np.full((6, 8, 3), 7, np.uint8)
        counts = np.arange(48, dtype=np.uint16) + 8000
        if self.form == "rows":
            return True, counts.reshape(6, 8)
        if self.form == "flattened":
            return True, counts.reshape(1, 48)
        if self.form == "telemetry":
            return True, np.concatenate([counts, np.zeros(16, np.uint16)]).reshape(8, 8)
        return True, counts.view(np.uint8).reshape(6, 16)

    def release(self) -> None:
        self.is_released = True


def camera(folder: Path, device: Device, **options: Any) -> Camera:
    (folder / "video2").touch()
    return Camera(2, SourceOptions(**options), devices=folder, open_device=lambda _: device)


@pytest.mark.parametrize("form", ["rows", "flattened", "bytes"])
def test_a_thermal_camera_gives_its_counts(tmp_path: Path, form: str) -> None:
    reader = camera(tmp_path, Device(has_y16=True, form=form), is_infrared=True).open(threading.Event())
    timed = reader.read()
    assert timed is not None
    np.testing.assert_array_equal(timed.image, np.arange(48, dtype=np.uint16).reshape(6, 8) + 8000)
    assert timed.image.dtype == np.uint16


def test_the_size_asked_for_leaves_telemetry_out(tmp_path: Path) -> None:
    device = Device(has_y16=True, form="telemetry")
    timed = camera(tmp_path, device, is_infrared=True, size=(8, 6)).open(threading.Event()).read()
    assert timed is not None
    assert timed.image.shape == (6, 8)


@pytest.mark.parametrize(("has_y16", "is_infrared"), [(False, True), (True, False), (False, False)])
def test_other_cameras_give_colour(tmp_path: Path, has_y16: bool, is_infrared: bool) -> None:
    device = Device(has_y16=has_y16)
    timed = camera(tmp_path, device, is_infrared=is_infrared, rate_hz=9).open(threading.Event()).read()
    assert timed is not None
    assert (timed.image.shape, timed.image.dtype) == ((6, 8, 3), np.uint8)
    assert device.properties[cv2.CAP_PROP_FPS] == 9


def test_a_stated_format_is_asked_for(tmp_path: Path) -> None:
    device = Device(has_y16=True)
    camera(tmp_path, device, is_infrared=True, format="MJPG").open(threading.Event())
    assert device.properties[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert device.properties[cv2.CAP_PROP_CONVERT_RGB] == 1


def test_a_format_that_the_camera_does_not_have(tmp_path: Path) -> None:
    device = Device()
    with pytest.raises(InputError, match="video2 does not give Y16; see v4l2-ctl"):
        camera(tmp_path, device, format="Y16").open(threading.Event())
    assert device.is_released


@pytest.mark.parametrize("setting", ["size=640", "rate=fast", "format=motion", "fps=30"])
def test_settings_that_no_camera_has(setting: str) -> None:
    with pytest.raises(InputError, match=f"'{setting}' is no setting of a camera"):
        open_source(f"/dev/video0?{setting}", SourceOptions())


def test_frames_have_the_time_of_the_driver(tmp_path: Path) -> None:
    timed = camera(tmp_path, Device()).open(threading.Event()).read()
    assert timed is not None
    assert time.monotonic_ns() - timed.time_ns >= 30 * 10**6


def test_a_driver_without_times_gives_those_of_arrival(tmp_path: Path) -> None:
    device = Device()
    reader = camera(tmp_path, device).open(threading.Event())
    device.get = lambda prop, /: 1.7e12 if prop == cv2.CAP_PROP_POS_MSEC else 0.0  # type: ignore[method-assign]
    before_ns = time.monotonic_ns()
    timed = reader.read()
    assert timed is not None
    assert before_ns <= timed.time_ns <= time.monotonic_ns()


def test_a_camera_that_is_unplugged_is_lost(tmp_path: Path) -> None:
    device = Device()
    reader = camera(tmp_path, device).open(threading.Event())
    for _ in range(5):
        assert reader.read() is not None
    with pytest.raises(SourceLostError, match="it gives no more frames"):
        reader.read()
    reader.close()
    assert device.is_released


def test_reading_ends_when_told_to_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    reader = camera(tmp_path, Device()).open(stop)
    stop.set()
    assert reader.read() is None


def test_a_busy_camera_may_come_free(tmp_path: Path) -> None:
    with pytest.raises(SourceLostError, match="another program uses it"):
        camera(tmp_path, Device(is_open=False)).open(threading.Event())


@pytest.mark.parametrize(
    ("present", "message"),
    [((), "video7; this machine has none"), (("video0", "video2"), "video7; there are .*video0, .*video2")],
)
def test_no_such_camera(tmp_path: Path, present: tuple[str, ...], message: str) -> None:
    for name in present:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=message):
        Camera(7, SourceOptions(), devices=tmp_path).open(threading.Event())


@pytest.mark.parametrize("address", ["97", "/dev/video97", "97?format=MJPG&size=1280x720&rate=30"])
def test_addresses_of_cameras(address: str) -> None:
    with pytest.raises(InputError, match="there is no camera /dev/video97"):
        open_source(address, SourceOptions()).open(threading.Event())


READ = """
import sys, threading, time
from pathlib import Path
from refusion.stream.sources import SourceLostError, SourceOptions
from refusion.stream.sources.camera import Camera

stop = threading.Event()
reader = Camera(0, SourceOptions(is_infrared=True), devices=Path(sys.argv[1])).open(stop)
if sys.argv[2] == "stop":
    threading.Timer(1.5, stop.set).start()
try:
    for _ in range(8):
        timed = reader.read()
        if timed is None:
            print("stopped")
            break
        age_ms = (time.monotonic_ns() - timed.time_ns) / 1e6
        image = timed.image
        print(image.dtype, image.shape, int(image.flat[-1]) - int(image.flat[0]), age_ms < 1000)
except SourceLostError as error:
    print(error)
reader.close()
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera that answers as a V4L2 driver does, whatever asks it."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("driver") / "v4l2_camera.so"
    source = Path(__file__).parents[2] / "fakes" / "v4l2_camera.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.mark.parametrize(
    ("environment", "stop", "expected"),
    [
        ({}, "", ["uint16 (48, 64) 3071 True"] * 8),
        ({"FAKE_CAMERA": "yuyv"}, "", ["uint8 (48, 64, 3) 0 True"] * 8),
        ({"FAKE_CAMERA_FRAMES": "4"}, "", ["uint16 (48, 64) 3071 True"] * 3 + ["it gives no more frames"]),
        (
            {"FAKE_CAMERA_FRAMES": "4", "FAKE_CAMERA_HANGS": "1"},
            "stop",
            ["uint16 (48, 64) 3071 True"] * 3 + ["stopped"],
        ),
    ],
    ids=["Y16", "YUYV", "unplugged", "hangs"],
)
def test_opencv_with_a_driver(
    tmp_path: Path, driver: Path, environment: dict[str, str], stop: str, expected: list[str]
) -> None:
    (tmp_path / "video0").touch()
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path), stop],
        env={**os.environ, **environment, "LD_PRELOAD": str(driver)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == expected


@pytest.mark.skipif(has_gstreamer(), reason="this OpenCV has GStreamer")
def test_pipelines_need_an_opencv_with_gstreamer() -> None:
    with pytest.raises(InputError, match=r"user-pw=\*\*\* needs an OpenCV with GStreamer, and this one"):
        open_source("gst:rtspsrc user-pw=secret", SourceOptions()).open(threading.Event())


@pytest.mark.skipif(not has_gstreamer(), reason="this OpenCV has no GStreamer")
@pytest.mark.parametrize(
    ("form", "dtype"), [("GRAY16_LE", np.uint16), ("GRAY8", np.uint8), ("BGR", np.uint8)]
)
def test_pipelines_give_frames(form: str, dtype: type) -> None:
    pipeline = f"gst:videotestsrc is-live=true ! video/x-raw,format={form},width=64,height=48"
    reader = open_source(pipeline, SourceOptions()).open(threading.Event())
    timed = reader.read()
    reader.close()
    assert timed is not None
    assert (timed.image.shape[:2], timed.image.dtype) == ((48, 64), dtype)


def test_a_pipeline_that_does_not_start() -> None:
    if not has_gstreamer():
        pytest.skip("this OpenCV has no GStreamer")
    with pytest.raises(SourceLostError, match="the pipeline does not start"):
        open_source("gst:nonesuch", SourceOptions()).open(threading.Event())
