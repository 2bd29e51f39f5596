"""A running stream for viewers: the synthetic scene at the pace of a camera, without a network."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from refusion.alignment import Calibration
from refusion.errors import OutputError
from refusion.files import write_image
from refusion.frames import Frame, FramePair
from refusion.stream.moments import SourceEvent, SourceReport, SourceState
from refusion.stream.monitoring import StreamFrame, StreamStatus
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video_writer import VideoWriter
from refusion.timing import Percentiles

SIZE, INFRARED_SIZE = (320, 240), (160, 120)
RATE_HZ = 20.0
SCENE_FRAMES = 24


def scene_pairs() -> list[FramePair]:
    """Return a second of the synthetic scene; it is slow to draw, so that tests share it."""
    scene = SyntheticScene(width_px=SIZE[0], height_px=SIZE[1], rate_hz=8, frame_count=SCENE_FRAMES)
    return list(scene)


class MovingStream:
    """Implements MonitoredStream; a context manager. Pictures are the larger of both cameras."""

    def __init__(self, pairs: list[FramePair], folder: Path) -> None:
        self.folder = folder
        self.states = [SourceState.live, SourceState.live]
        self.events: list[SourceEvent] = []
        self.calibrations_set = 0
        self.has_ended = False
        self.is_held = False
        """Whether no new frames come, for now."""
        self._visible = [pair.b for pair in pairs]
        self._infrared = [cv2.resize(pair.a, INFRARED_SIZE, interpolation=cv2.INTER_AREA) for pair in pairs]
        self._calibration = Calibration.full_view(INFRARED_SIZE, SIZE)
        self._newest: StreamFrame | None = None
        self._changed = threading.Condition()
        self._writer: VideoWriter | None = None
        self._stopping = threading.Event()
        self._started_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="moving-stream", daemon=True)

    def __enter__(self) -> MovingStream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.stop_recording()

    def wait(self, after: int, timeout_s: float) -> StreamFrame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None and self._newest.index > after, timeout_s)
            newest = self._newest
        return newest if newest is not None and newest.index > after else None

    def status(self) -> StreamStatus:
        frames = 0 if self._newest is None else self._newest.index + 1
        reports = tuple(
            SourceReport(name, f"synthetic: ({name})", state, size, frames, 3, 1)
            for name, state, size in zip(
                ("infrared", "visible"), self.states, (INFRARED_SIZE, SIZE), strict=True
            )
        )
        return StreamStatus(
            running_s=time.monotonic() - self._started_s,
            frames=frames,
            frames_single=0,
            rate_hz=RATE_HZ,
            dropped_by_sinks=0,
            sources=(reports[0], reports[1]),
            events=list(self.events),
            skew=Percentiles(4.0, 9.0, 12.5),
            stages={"pre": Percentiles(1.0, 1.4, 2.0), "network": Percentiles(14.0, 16.0, 21.0)},
            latency=Percentiles(31.0, 40.0, 52.0),
            size=SIZE,
            task="ivif",
            backend="no network: the larger of both",
            recording=None if self._writer is None else self._writer.path,
            has_ended=self.has_ended,
        )

    @property
    def calibration(self) -> Calibration | None:
        return self._calibration

    def set_calibration(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self.calibrations_set += 1

    def save_calibration(self) -> Path:
        path = self.folder / "calibration.yaml"
        self._calibration.save(path, force=True)
        return path

    def start_recording(self) -> Path:
        if not self.folder.is_dir():
            raise OutputError(f"{self.folder} is not there any more")
        with self._changed:
            if self._writer is None:
                self._writer = VideoWriter(self.folder / "recording.mp4", rate=RATE_HZ, size=SIZE, force=True)
            return self._writer.path

    def stop_recording(self) -> Path | None:
        with self._changed:
            writer, self._writer = self._writer, None
            if writer is None:
                return None
            if writer.frame_count == 0 and self._newest is not None and self._newest.fused is not None:
                writer.write(self._newest.fused)
            writer.close()
            return writer.path

    def save_snapshot(self, picture: Frame) -> Path:
        path = self.folder / f"snapshot-{len(list(self.folder.glob('snapshot-*.png')))}.png"
        write_image(path, picture)
        return path

    def lose(self, camera: int) -> None:
        """Let one camera be lost: 0 infrared, 1 visible."""
        name = ("infrared", "visible")[camera]
        self.states[camera] = SourceState.lost
        event = SourceEvent(name, SourceState.lost, "no answer; trying again", time.monotonic_ns())
        self.events.append(event)

    def give_parallax(self) -> None:
        """Let the calibration know of the cameras' distance, so that one of fusion can be set."""
        self._calibration = replace(self._calibration, parallax_px_m=(12.0, 0.0), reference_distance_m=20.0)

    def _run(self) -> None:
        index = 0
        while not self._stopping.wait(1 / RATE_HZ):
            if self.is_held:
                continue
            frame = self._frame(index)
            with self._changed:
                self._newest = frame
                if self._writer is not None and frame.fused is not None:
                    self._writer.write(frame.fused)
                self._changed.notify_all()
            index += 1

    def _frame(self, index: int) -> StreamFrame:
        number = index % len(self._visible)
        frame = StreamFrame(
            index=index,
            time_ns=time.monotonic_ns(),
            fused=None,
            infrared=self._infrared[number] if self.states[0] is SourceState.live else None,
            visible=self._visible[number] if self.states[1] is SourceState.live else None,
            warp=self._calibration.warp(),
            skew_ns=4_000_000,
            states=(self.states[0], self.states[1]),
        )
        if frame.aligned_infrared is None or frame.visible is None:
            return frame
        return replace(frame, fused=np.maximum(frame.visible, frame.aligned_infrared[..., None]))
