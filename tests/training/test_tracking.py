from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from refusion.training.progress import TimeLeft, duration_text
from refusion.training.reports import EpochReport, StepReport
from refusion.training.tracking import LossFile, TensorBoard, open_tensorboard


def step_report(position: int, value: float = 0.5) -> StepReport:
    return StepReport(
        epoch=1,
        epochs=2,
        phase="fusion",
        step=position,
        steps=10,
        position=position,
        losses={"fusion_loss": value},
        rates={"fusion": 1e-3},
        seconds=0.25,
        pairs_per_second=16.0,
        left={"meta": 0, "fusion": 10 - position, "validation": 1},
    )


def epoch_report(epoch: int, position: int) -> EpochReport:
    return EpochReport(
        epochs=2,
        position=position,
        record={"epoch": float(epoch), "fusion_loss": 0.5, "seconds": 1.0},
        validation={"score": 0.7},
        validation_seconds=0.1,
        panels={"3_fused": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)},
        left={"meta": 0, "fusion": 0, "validation": 0},
    )


def test_event_files_hold_scalars_and_images_once_each(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    first = TensorBoard(tmp_path, position=0)
    for position in range(1, 6):
        first.step(step_report(position, 0.1 * position))
    first.epoch(epoch_report(1, 5))
    first.close()
    # Resumed from a checkpoint after the third step: the others come again.
    second = TensorBoard(tmp_path, position=3)
    for position in range(4, 8):
        second.step(step_report(position, 0.2 * position))
    second.epoch(epoch_report(1, 7))
    second.close()

    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    values = {event.step: event.value for event in events.Scalars("fusion/fusion_loss")}
    assert len(events.Scalars("fusion/fusion_loss")) == 7
    assert values == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3, 4: 0.8, 5: 1.0, 6: 1.2, 7: 1.4})
    assert [event.step for event in events.Scalars("validation/score")] == [7]
    assert set(events.Tags()["scalars"]) == {
        "fusion/fusion_loss",
        "learning_rate/fusion",
        "time/fusion_step_seconds",
        "time/fusion_pairs_per_second",
        "validation/score",
    }
    (image,) = events.Images("panel/3_fused")
    assert (image.step, image.width, image.height) == (7, 4, 3)


def test_without_tensorboard_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert open_tensorboard(tmp_path, position=0) is None
    assert caplog.messages == [
        "there will be no TensorBoard files: pip install tensorboard, or 'refusion[train]'"
    ]


def test_a_resumed_run_drops_the_records_that_come_again(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    file = LossFile(tmp_path, epochs_done=0)
    file.epoch(epoch_report(1, 5))
    file.epoch(epoch_report(2, 10))
    # A kill may leave half a line.
    path.write_text(path.read_text() + '{"epoch": 3')
    again = LossFile(tmp_path, epochs_done=1)
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1]
    again.epoch(epoch_report(2, 10))
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2]


def test_time_left_counts_each_kind_and_ignores_a_slow_start() -> None:
    time_left = TimeLeft()
    assert time_left.seconds({"meta": 5, "fusion": 5, "validation": 1}) == 0
    for seconds in (60.0, 2.0, 2.0):
        time_left.add("meta", seconds)
    # Nothing is known of fusion steps yet.
    assert time_left.seconds({"meta": 5, "fusion": 5, "validation": 1}) == 20
    time_left.add("fusion", 1.0)
    time_left.add("validation", 7.0)
    assert time_left.seconds({"meta": 5, "fusion": 5, "validation": 2}) == 29


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (42, "42 s"),
        (60, "1 min"),
        (303, "5 min 3 s"),
        (7815, "2 h 10 min"),
        (3605, "1 h"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations_are_written_in_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
