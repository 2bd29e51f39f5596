"""Text files: calibrations, points, records of engines and of weights, settings of training, reports."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from engine_identity import IDENTITY

from refusion.alignment import Calibration, load_calibration
from refusion.alignment.calibration import Adjustment, Crop
from refusion.alignment.geometry import corners_of
from refusion.alignment.lens import Lens
from refusion.alignment.points import calibrate_from_points, load_points
from refusion.backends.tensorrt.identity import EngineRecord
from refusion.backends.tensorrt.sidecar import read_sidecar, sidecar_text
from refusion.batch.pairs import pairs_of_list
from refusion.benchmarks import reports
from refusion.errors import RefusionError
from refusion.weights import FOLDER, read_manifest

from .target import Target, file_parser

RECORD = EngineRecord(
    identity=IDENTITY,
    plan_sha256="1" * 64,
    plan_bytes=1 << 20,
    onnx_file="ivif.onnx",
    accuracy={"psnr_db": 61.5},
    verification={},
    refusion_version="0.1.0",
    built_at="2026-01-01T00:00:00+00:00",
    build_seconds=12.5,
)


def _calibrations() -> list[bytes]:
    plain = Calibration.full_view((160, 120), (320, 240))
    matrix = [[300.0, 0.0, 160.0], [0.0, 300.0, 120.0], [0.0, 0.0, 1.0]]
    full = replace(
        plain,
        visible_lens=Lens(matrix, [0.1, -0.05, 0.0, 0.001, 0.0]),
        crop=Crop(10, 20, 200, 160),
        parallax_px_m=(12.0, 0.5),
        reference_distance_m=20.0,
        fusion_distance_m=8.0,
        adjustment=Adjustment((1.5, -2.0), 1.1, 3.0),
        residual_px=0.4,
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.yaml" for index in range(2)]
        for calibration, path in zip((plain, full), paths, strict=True):
            calibration.save(path)
        return [path.read_bytes() for path in paths]


def _read_calibration(path: Path) -> None:
    """Read it, and use it; what is accepted can be kept, too."""
    again = path.with_suffix(".again.yaml")
    calibration = load_calibration(path)
    with np.errstate(all="ignore"):
        calibration.places(corners_of(calibration.visible_size))
    calibration.save(again, force=True)
    try:
        load_calibration(again)
    except RefusionError as error:
        raise AssertionError(f"what was accepted is refused once it is saved: {error}") from None


def _read_points(path: Path) -> None:
    calibrate_from_points(*load_points(path), (64, 48), (64, 48))


def _read_sidecar(path: Path) -> None:
    record = read_sidecar(path.with_suffix(""))
    assert record is not None
    record.signed_content()
    record.identity.file_name()


def _read_settings(path: Path) -> None:
    from refusion.training.configurations import load_configuration

    load_configuration(path).fitted()


def _read_pairs(path: Path) -> None:
    for pair in pairs_of_list(str(path)):
        assert ".." not in pair.name.split("/")
        assert not pair.name.startswith("/")


def _settings() -> list[bytes]:
    from refusion.training.configurations import FOLDER as SCHEDULES

    return [path.read_bytes() for path in sorted(SCHEDULES.glob("*.yaml"))]


def _read_run(path: Path) -> None:
    from refusion.training.configuration import TrainingConfiguration
    from refusion.training.run import STATE, recorded_settings

    (path.parent / STATE).touch()
    TrainingConfiguration.of_record(recorded_settings(path.parent)["configuration"])


def _runs() -> list[bytes]:
    from refusion.training.configuration import TrainingConfiguration

    settings = {"task": "ivif", "data_folders": ["data"], "configuration": asdict(TrainingConfiguration())}
    return [json.dumps(settings).encode()]


TARGETS = (
    Target(
        "calibration",
        file_parser("calibration.yaml", _read_calibration),
        _calibrations,
        ("refusion.alignment", "yaml"),
    ),
    Target(
        "points",
        file_parser("points.csv", _read_points),
        lambda: [b"# ir x, y, visible x, y\n1,2,1,2\n60 3 61 3\n62,45,60,44\n2,44,1,45\n30,9,30,9.5\n"],
        ("refusion.alignment",),
    ),
    Target(
        "pairs",
        file_parser("pairs.csv", _read_pairs),
        lambda: [
            b'a,b,name\nir/1.png,vis/1.png,one\n"ir/2, raw.tif",s3://bucket/2.png,sub/two\n',
            b"b,a\nx,y\n",
        ],
        ("refusion.batch.pairs",),
        needs=("fsspec",),
    ),
    Target(
        "sidecar",
        file_parser("engine.plan.json", _read_sidecar),
        lambda: [sidecar_text(RECORD).encode()],
        ("refusion.backends", "json"),
    ),
    Target(
        "manifest",
        file_parser("ivif.json", read_manifest),
        lambda: [(FOLDER / f"{name}.json").read_bytes() for name in ("ivif", "ivif-lite")],
        ("refusion.weights", "json"),
        longest_bytes=16384,
    ),
    Target(
        "settings",
        file_parser("settings.yaml", _read_settings),
        _settings,
        ("refusion.training", "yaml"),
        needs=("torch",),
    ),
    Target(
        "run",
        file_parser("settings.json", _read_run),
        _runs,
        ("refusion.training", "json"),
        needs=("torch",),
    ),
    Target(
        "report",
        file_parser("report.json", reports.read_report),
        lambda: [b'{"format": "refusion latency 1", "cases": [{"p50_ms": 1.5}]}'],
        ("refusion.benchmarks", "json"),
    ),
)
