"""Calibration files: nothing is lost, nothing malformed gets through."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from refusion.alignment import (
    Adjustment,
    Calibration,
    CalibrationMethod,
    Crop,
    Lens,
    load_calibration,
)
from refusion.errors import InputError, OutputError

FULL = Calibration(
    (160, 120),
    (640, 480),
    np.array([[0.25, 0.01, -3.0], [0.0, 0.26, 1.5], [1e-5, 0.0, 1.0]]),
    infrared_lens=Lens(
        np.array([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]]), np.array([-0.1, 0.02, 0, 0, 0.003])
    ),
    crop=Crop(10, 20, 600, 400),
    parallax_px_m=(50.0, -1.0),
    reference_distance_m=4.0,
    fusion_distance_m=math.inf,
    adjustment=Adjustment((1.5, -2.0), 1.01, 0.25),
    method=CalibrationMethod.scene,
    residual_px=0.7,
    created=datetime(2026, 5, 4, 12, 30, tzinfo=timezone.utc),
)


def assert_equal(a: Any, b: Any) -> None:
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right)
        elif isinstance(left, Lens):
            assert_equal(left, right)
        else:
            assert left == right, field.name


@pytest.mark.parametrize("calibration", [FULL, Calibration.full_view((160, 120), (640, 480))])
def test_what_is_saved_is_loaded(tmp_path: Path, calibration: Calibration) -> None:
    path = tmp_path / "calibration.yaml"
    calibration.save(path)
    assert_equal(load_calibration(path), calibration)
    with pytest.raises(OutputError, match="is there already; give --force to replace it"):
        calibration.save(path)
    calibration.save(path, force=True)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "the field format must be 1, the one this release reads, not 2"),
        ({"method": "guess"}, "the field method must be one of full_view, scene, board, points, not 'guess'"),
        ({"created": 3}, "the field created must be a date and time, not 3"),
        ({"homography": None}, "the field homography must be 3 lists of 3 numbers, not None"),
        (
            {"homography": [[1, 0, 0], [0, "x", 0], [0, 0, 1]]},
            "the field homography must be 3 lists of 3 numbers",
        ),
        ({"infrared_size": [160]}, "the field infrared_size must be a list of 2 whole numbers, not [160]"),
        ({"visible_size": [640.5, 480]}, "the field visible_size must be a list of 2 whole numbers"),
        ({"crop": [0, 0, 9999, 10]}, "a calibration's crop must lie in the visible picture of 640x480"),
        ({"crop": "all"}, "the field crop must be a list of 4 whole numbers, not 'all'"),
        ({"reference_distance_m": True}, "the field reference_distance_m must be a number, not True"),
        ({"fusion_distance_m": -1}, "fusion_distance_m must be a positive number of metres, not -1.0"),
        ({"parallax_px_m": [1, math.nan]}, "the field parallax_px_m must be a list of 2 numbers"),
        ({"adjustment": [1]}, "adjustment must hold named fields"),
        ({"adjustment": {"offset_px": [0, 0], "scale": 1}}, "the field adjustment.rotation_deg is missing"),
        ({"infrared_lens": {"camera_matrix": 3}}, "the field infrared_lens.camera_matrix must be 3 lists"),
        (
            {"visible_lens": {"camera_matrix": np.eye(3).tolist(), "distortion": 4}},
            "visible_lens.distortion must be",
        ),
        ({"zoom": 2}, "there is no field zoom in calibrations"),
        ({"method": ["scene"]}, "the field method must be one of full_view, scene, board, points"),
        ({"residual_px": 10**400}, "the field residual_px must be a number, not 1000"),
        ({"visible_size": [640, 10**9]}, "the field visible_size must be at most 1048576 pixels"),
        ({"homography": [[1e308, 0, 0], [0, 1e308, 0], [0, 0, 1e-308]]}, "homography must be invertible"),
        (
            {"adjustment": {"offset_px": [0, 0], "scale": 1, "rotation_deg": math.inf}},
            "the field adjustment.rotation_deg must be a finite number, not inf",
        ),
    ],
)
def test_malformed_fields_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "calibration.yaml"
    FULL.save(path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_calibration(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["format", "method", "infrared_size", "homography", "parallax_px_m", "crop"])
def test_missing_fields_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "calibration.yaml"
    FULL.save(path)
    document = yaml.safe_load(path.read_text())
    del document[name]
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=f"the field {name} is missing"):
        load_calibration(path)


def test_values_that_hold_each_other_are_shown_in_short(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    FULL.save(path)
    # Written out, the last of these lists has 9 ** 20 elements.
    lists = "".join(f"l{i + 1}: &l{i + 1} [{', '.join([f'*l{i}'] * 9)}]\n" for i in range(20))
    path.write_text(f"l0: &l0 [1]\n{lists}{path.read_text()}".replace("method: scene", "method: *l20"))
    with pytest.raises(InputError, match="the field method must be one of .*, not \\[\\[") as caught:
        load_calibration(path)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold named fields"),
        (b"- 1\n", "must hold named fields"),
        (b"a: [1\nb: 2\n", "is not YAML (line 2)"),
        (b"a: !!python/object:os.system {}\n", "is not YAML"),
        (b"\xff\xfe\x00", "cannot be read"),
        # What PyYAML's constructors stumble over, and its own recursion.
        (b"created: 2020-99-99\n", "is not YAML"),
        (b"format: !!int ''\n", "is not YAML"),
        (b"created: !!timestamp x\n", "is not YAML"),
        (b"- " * 3000, "is not YAML"),
        (b"a: " + 3000 * b"[", "brackets nested more than 32 deep"),
        (b"#" * (1 << 19), "has 524288 characters; such a file has at most 262144"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)):
        load_calibration(path)
    with pytest.raises(InputError, match="there is no calibration file .*; make one with refusion calibrate"):
        load_calibration(tmp_path / "none.yaml")
