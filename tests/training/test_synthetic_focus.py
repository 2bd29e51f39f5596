from __future__ import annotations

import cv2
import numpy as np
import pytest

from refusion.training.synthetic_focus import GAMMA, defocused_pair, disc, focus_pair, random_foreground

NEAR, FAR = 0, 1


@pytest.fixture
def texture() -> np.ndarray:
    noise = np.random.default_rng(0).random((96, 96), np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1), None, 0.1, 0.9, cv2.NORM_MINMAX)


@pytest.fixture
def left_half() -> np.ndarray:
    foreground = np.zeros((96, 96), np.float32)
    foreground[:, :48] = 1
    return foreground


def sharpness(image: np.ndarray) -> float:
    return float((np.diff(image, axis=0) ** 2).mean() + (np.diff(image, axis=1) ** 2).mean())


def test_each_image_is_sharp_on_its_own_side(texture: np.ndarray, left_half: np.ndarray) -> None:
    pair = defocused_pair(texture, left_half, far_radius_px=4, near_radius_px=4)
    # Away from the outline by more than a disc.
    for sharp, blurred, side in ((NEAR, FAR, np.s_[:, :40]), (FAR, NEAR, np.s_[:, 60:])):
        np.testing.assert_allclose(pair[sharp][side], texture[side], atol=2e-3)
        assert sharpness(pair[blurred][side]) < 0.1 * sharpness(texture[side])


def test_blur_is_linear_in_light(left_half: np.ndarray) -> None:
    checks = np.indices((96, 96)).sum(axis=0) % 2
    scene = (0.2 + 0.6 * checks).astype(np.float32)
    near = defocused_pair(scene, left_half, far_radius_px=5, near_radius_px=5)[NEAR]
    mean_light = (0.2**GAMMA + 0.8**GAMMA) / 2
    assert near[40:56, 70:86] == pytest.approx(mean_light ** (1 / GAMMA), abs=5e-3)
    assert abs(mean_light ** (1 / GAMMA) - 0.5) > 0.05


def test_a_sharp_foreground_cuts_off_and_a_blurred_one_bleeds(left_half: np.ndarray) -> None:
    scene = np.where(left_half, np.float32(0.9), np.float32(0.2))
    near, far = defocused_pair(scene, left_half, far_radius_px=5, near_radius_px=5)
    np.testing.assert_allclose(near, scene, atol=2e-3)
    row = far[48]
    # Half of the disc is covered at the outline, none of it more than a radius away.
    assert row[47] ** GAMMA == pytest.approx(0.5 * (0.9**GAMMA + 0.2**GAMMA), abs=0.06)
    assert (np.diff(row[42:54]) < -1e-4).all()
    np.testing.assert_allclose(row[:41], 0.9, atol=2e-3)
    np.testing.assert_allclose(row[55:], 0.2, atol=2e-3)


@pytest.mark.parametrize("radius_px", [1.5, 3.2, 7.0])
def test_a_disc_spreads_light_evenly_and_loses_none(radius_px: float) -> None:
    kernel = disc(radius_px)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(kernel, kernel[::-1])
    np.testing.assert_array_equal(kernel, kernel.T)
    assert 1 / kernel.max() == pytest.approx(np.pi * radius_px**2, rel=0.1)


def test_foregrounds_have_both_sides_and_no_speckle(texture: np.ndarray) -> None:
    speckle = 0.0
    for seed in range(20):
        foreground = random_foreground(texture, np.random.default_rng(seed))
        assert (foreground.min(), foreground.max()) == (0, 1)
        assert 0.02 < foreground.mean() < 0.98
        parts, _, stats, _ = cv2.connectedComponentsWithStats((foreground > 0.5).astype(np.uint8))
        areas = stats[1:parts, cv2.CC_STAT_AREA]
        speckle += areas[areas < 30].sum() / areas.sum()
    assert speckle < 20 * 0.02


def test_pairs_depend_on_the_seed_alone(texture: np.ndarray) -> None:
    pair = focus_pair(texture, np.random.default_rng(1))
    assert (pair.shape, pair.dtype) == ((2, 96, 96), np.float32)
    assert 0 <= pair.min() <= pair.max() <= 1
    np.testing.assert_array_equal(pair, focus_pair(texture, np.random.default_rng(1)))
    assert not np.array_equal(pair, focus_pair(texture, np.random.default_rng(2)))
    np.testing.assert_allclose(255 * pair, np.rint(255 * pair), atol=1e-4)
