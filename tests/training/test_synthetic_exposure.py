from __future__ import annotations

import numpy as np
import pytest

from refusion.training.synthetic_exposure import Response, exposed, exposure_pair, widened

CAMERA = Response(exponent=0.9, knee=0.6)


@pytest.fixture
def ramp() -> np.ndarray:
    return np.tile(np.linspace(0.02, 0.98, 128, dtype=np.float32), (64, 1))


@pytest.mark.parametrize("camera", [CAMERA, *(Response.draw(np.random.default_rng(s)) for s in range(4))])
def test_a_response_is_undone_by_its_inverse(camera: Response, ramp: np.ndarray) -> None:
    np.testing.assert_allclose(camera.encode(camera.decode(ramp)), ramp, atol=1e-5)
    values = camera.encode(np.array((0, 0.2, 0.5, 1, 3), np.float32))
    assert (np.diff(values[:4]) > 0).all()
    assert values[[0, 3, 4]].tolist() == pytest.approx([0, 1, 1], abs=1e-6)


@pytest.mark.parametrize("stops", [-2, -1, 1, 2])
def test_a_stop_doubles_the_light(stops: float, ramp: np.ndarray) -> None:
    light = CAMERA.decode(ramp)
    values = exposed(light, stops, CAMERA, np.random.default_rng(0))
    ratio = CAMERA.decode(values).mean(axis=0) / light.mean(axis=0)
    # Where eight bits and noise leave something to measure, and nothing is clipped.
    measurable = (values.mean(axis=0) > 0.1) & (values.max(axis=0) < 0.98)
    assert measurable.sum() > 20
    np.testing.assert_allclose(ratio[measurable], 2.0**stops, rtol=0.06)


def test_noise_grows_with_light_and_bright_light_is_clipped() -> None:
    light = np.repeat(np.array((0.05, 0.5, 4.0), np.float32), 4096).reshape(3, 4096)
    dark, bright, clipped = exposed(light, 0, CAMERA, np.random.default_rng(3))
    spreads = [CAMERA.decode(values).std() for values in (dark, bright)]
    assert spreads[0] < spreads[1]
    assert clipped.min() == 1


def test_under_is_darker_and_shows_what_over_clips(ramp: np.ndarray) -> None:
    clipped_by_over = 0
    for seed in range(20):
        under, over = exposure_pair(ramp, np.random.default_rng(seed))
        assert under.mean() < ramp.mean() < over.mean()
        clipped = over == 1
        clipped_by_over += int(clipped.sum() > 0)
        assert (under == 1).sum() <= clipped.sum()
        if clipped.any():
            assert under[clipped].std() > 0
    assert clipped_by_over >= 15


def test_the_range_is_widened_about_the_median(ramp: np.ndarray) -> None:
    wide = widened(ramp, 2.0)
    assert np.median(wide) == pytest.approx(np.median(ramp), rel=1e-3)
    np.testing.assert_allclose(wide[0, -1] / wide[0, 0], (ramp[0, -1] / ramp[0, 0]) ** 2, rtol=1e-3)
    assert widened(np.zeros((4, 4), np.float32), 1.7).max() == 0


def test_pairs_depend_on_the_seed_alone(ramp: np.ndarray) -> None:
    pair = exposure_pair(ramp, np.random.default_rng(1))
    assert (pair.shape, pair.dtype) == ((2, 64, 128), np.float32)
    assert 0 <= pair.min() <= pair.max() <= 1
    np.testing.assert_array_equal(pair, exposure_pair(ramp, np.random.default_rng(1)))
    assert not np.array_equal(pair, exposure_pair(ramp, np.random.default_rng(2)))
    np.testing.assert_allclose(255 * pair, np.rint(255 * pair), atol=1e-4)
