"""One small report for all tests of what is made of reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refusion.benchmarks.latency.run import Effort, LatencyRequest, run
from refusion.benchmarks.latency.samples import Turns
from refusion.benchmarks.latency.scaling import ScalingPlan
from refusion.benchmarks.latency.streams import render_videos
from refusion.models import Model

SHORT = Effort(
    Turns(2, least_s=0.0, most_calls=1),
    hand_s=0.01,
    stream_s=0.1,
    scaling=ScalingPlan(((32, 24), (192, 160)), (192, 160), (1, 2), least_s=0.0),
)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An infrared and a visible video of five frames."""
    return render_videos(tmp_path_factory.mktemp("videos"), (64, 48), 5)


@pytest.fixture(scope="session")
def report(videos: tuple[Path, Path]) -> dict[str, Any]:
    """Everything, on one backend, small."""
    return run(
        LatencyRequest(
            models=(Model.full,),
            backends=("onnxruntime",),
            sizes=((64, 48),),
            threads=1,
            with_baselines=False,
            with_streams=True,
            videos=videos,
            with_scaling=True,
            effort=SHORT,
        )
    )
