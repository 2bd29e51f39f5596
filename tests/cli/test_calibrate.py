"""`refusion calibrate`: what it writes, prints and refuses. The estimation has tests of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from refusion.alignment import CalibrationMethod, load_calibration
from refusion.files import write_image

Command = Callable[..., Any]


@pytest.fixture
def raw(images: tuple[Path, Path], tmp_path: Path) -> Path:
    """The infrared image at half the resolution and 16 bits."""
    small = cv2.resize(
        cv2.imread(str(images[0]), cv2.IMREAD_GRAYSCALE), (32, 24), interpolation=cv2.INTER_AREA
    )
    path = tmp_path / "raw.png"
    cv2.imwrite(str(path), 7000 + small.astype(np.uint16))
    return path


def test_points_of_raw_infrared_give_file_and_preview(
    cli: Command, images: tuple[Path, Path], raw: Path, tmp_path: Path
) -> None:
    points = tmp_path / "points.txt"
    points.write_text("2 2 10 6\n28 3 62 8\n27 21 60 44\n3 20 12 42\n")
    outcome = cli(
        "calibrate",
        "--ir",
        raw,
        "--visible",
        images[1],
        "--method",
        "points",
        "--points",
        points,
        "--preview",
        "preview.png",
        "--baseline-m",
        "0,0.05",
        "--focal-px",
        "60",
        "--distance",
        "2",
    )
    assert outcome.status == 0, outcome.err
    assert "method: points, 1 pair of frames" in outcome.out
    assert "of which infrared covers 100 %" in outcome.out
    calibration = load_calibration(tmp_path / "calibration.yaml")
    assert (calibration.infrared_size, calibration.visible_size) == ((32, 24), (64, 48))
    assert calibration.crop is not None
    assert calibration.parallax_px_m == (0.0, 3.0)
    assert calibration.fusion_distance_m == 2.0
    preview = cv2.imread(str(tmp_path / "preview.png"))
    assert preview.shape[1::-1] == calibration.output_size


@pytest.mark.parametrize("kind", ["folders", "videos", "synthetic"])
def test_sources_of_any_kind_will_do(
    cli: Command, folders: tuple[Path, Path], videos: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    scene = "synthetic:?width=64&height=48&frames=3"
    a, b = {"folders": folders, "videos": videos, "synthetic": (scene, scene)}[kind]
    outcome = cli(
        "calibrate", "--ir", a, "--visible", b, "--method", "full_view", "--frames", "2", "--no-crop"
    )
    assert outcome.status == 0, outcome.err
    assert "method: full_view, 2 pairs of frames" in outcome.out
    assert load_calibration(tmp_path / "calibration.yaml").method is CalibrationMethod.full_view
    again = cli("calibrate", "--ir", a, "--visible", b, "--method", "full_view")
    assert again.status == 1
    assert "is there already; give --force to replace it" in again.error_lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "guess"), "--method must be one of full_view, scene, board, points, not 'guess'"),
        (("--method", "board"), "--method board and --board 9x6 belong together"),
        (("--points", "p.txt"), "--method points and --points FILE belong together"),
        (("--method", "points", "--points", "p.txt"), "there is no file of points p.txt"),
        (("--method", "board", "--board", "9"), "not '9'"),
        (("--method", "board", "--board", "9x6"), "no pair shows the 9x6 chessboard to both cameras"),
        (("--method", "full_view", "--distance", "2"), "a fusion distance needs the cameras' parallax"),
        (("--baseline-m", "0.1"), "--baseline-m and --focal-px belong together"),
        (("--baseline-m", "x", "--focal-px", "500"), "--baseline-m wants X or X,Y in metres"),
        (("--ir", "folder"), "must both be images, or both be something else"),
        (("--ir", "none.png"), "none.png"),
        (("-o", "nowhere/c.yaml"), "there is no folder nowhere"),
        (("--ir", "blank.png"), "the infrared frames are blank"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    cli: Command, images: tuple[Path, Path], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_image(tmp_path / "blank.png", np.zeros((48, 64), np.uint8))
    (tmp_path / "folder").mkdir()
    before = set(tmp_path.iterdir())
    outcome = cli("calibrate", "--ir", images[0], "--visible", images[1], *arguments)
    assert outcome.status == 1
    assert len(outcome.error_lines) == 1, outcome.err
    assert re.search(re.escape(message), outcome.error_lines[0])
    assert set(tmp_path.iterdir()) == before
