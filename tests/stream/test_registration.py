from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refusion import InputError, UsageError
from refusion.alignment import Calibration, Crop, load_calibration
from refusion.stream.registration import Registration

INFRARED = np.zeros((30, 40), np.uint8)
VISIBLE = np.arange(120 * 160 * 3, dtype=np.uint32).astype(np.uint8).reshape(120, 160, 3)
CALIBRATION = replace(Calibration.full_view((40, 30), (160, 120)), crop=Crop(16, 8, 96, 64))


def test_crop_and_warp_of_a_calibration(tmp_path: Path) -> None:
    registration = Registration(CALIBRATION, path=tmp_path / "c.yaml")
    assert registration.calibration is None
    assert registration.warp is None
    cropped, warp = registration.of_pair(INFRARED, VISIBLE)
    np.testing.assert_array_equal(cropped, VISIBLE[8:72, 16:112])
    assert np.shares_memory(cropped, VISIBLE)
    assert warp is not None
    assert (warp.size, warp.source_size) == ((96, 64), (40, 30))
    assert registration.of_pair(INFRARED, VISIBLE)[1] is warp  # made once


def test_visible_alone_has_the_geometry_of_the_fused_picture_from_the_start(tmp_path: Path) -> None:
    registration = Registration(CALIBRATION, path=tmp_path / "c.yaml")
    alone = registration.of_visible(VISIBLE)
    together, _ = registration.of_pair(INFRARED, VISIBLE)
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(registration.of_visible(VISIBLE), together)
    assert Registration(None, path=tmp_path / "c.yaml").of_visible(VISIBLE) is VISIBLE


def test_equal_views_need_no_warp_but_a_crop_does(tmp_path: Path) -> None:
    same = np.zeros((120, 160), np.uint8)
    assert Registration(None, path=tmp_path / "c.yaml").of_pair(same, VISIBLE)[1] is None
    cropped = replace(Calibration.full_view((160, 120), (160, 120)), crop=Crop(16, 8, 96, 64))
    warp = Registration(cropped, path=tmp_path / "c.yaml").of_pair(same, VISIBLE)[1]
    assert warp is not None
    np.testing.assert_allclose(warp.nodes[0, 0], [16, 8], atol=1e-4)


def test_change_keeps_the_crop_and_takes_effect_with_the_next_pair(tmp_path: Path) -> None:
    registration = Registration(CALIBRATION, path=tmp_path / "c.yaml")
    with pytest.raises(UsageError, match="wait until both cameras show a picture"):
        registration.change(CALIBRATION)
    _, before = registration.of_pair(INFRARED, VISIBLE)
    registration.change(replace(CALIBRATION.adjusted(dx_px=8), crop=None))
    cropped, after = registration.of_pair(INFRARED, VISIBLE)
    assert cropped.shape == (64, 96, 3)
    assert before is not None
    assert after is not None
    # Infrared moved to the right by 8 visible pixels: each now shows what lay 2 infrared pixels to the left.
    moved = after.nodes - before.nodes
    np.testing.assert_allclose(moved, np.broadcast_to([-2, 0], moved.shape), atol=1e-3)


def test_save_writes_what_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    registration = Registration(CALIBRATION, path=path)
    with pytest.raises(UsageError, match="no calibration to save yet"):
        registration.save()
    registration.of_pair(INFRARED, VISIBLE)
    registration.change(CALIBRATION.adjusted(dx_px=3, scale=1.1))
    assert registration.save() == path
    loaded = load_calibration(path)
    assert loaded.adjustment.offset_px[0] == pytest.approx(3)
    assert loaded.crop == CALIBRATION.crop


def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    registration = Registration(CALIBRATION, path=tmp_path / "c.yaml")
    with pytest.raises(InputError, match="160x120.*100x120"):
        registration.of_pair(INFRARED, VISIBLE[:, :100])


def test_refinement_sees_the_pairs_and_is_stopped(tmp_path: Path) -> None:
    registration = Registration(CALIBRATION, path=tmp_path / "c.yaml", refine=True)
    for _ in range(3):
        registration.of_pair(INFRARED, VISIBLE)
        registration.observe(INFRARED, VISIBLE)  # without structure: nothing may move
    registration.change(CALIBRATION.adjusted(dx_px=1))
    _, warp = registration.of_pair(INFRARED, VISIBLE)
    expected = replace(CALIBRATION.adjusted(dx_px=1), crop=CALIBRATION.crop).warp()
    assert warp is not None
    np.testing.assert_allclose(warp.nodes, expected.nodes, atol=1e-3)
    registration.close()
    registration.close()
