"""Qabf against values derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusion.metrics.edges import edge_preservation


def strength_kept(ratio: float) -> float:
    return 0.9994 / (1 + math.exp(-15 * (ratio - 0.5)))


def orientation_kept(alignment: float) -> float:
    return 0.9879 / (1 + math.exp(-22 * (alignment - 0.8)))


NOISE = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
DOT = np.array([[0, 0, 0], [0, 90, 0], [0, 0, 0]], np.uint8)


def test_identity() -> None:
    assert edge_preservation(NOISE, NOISE, NOISE) == pytest.approx(strength_kept(1) * orientation_kept(1))


def test_black_sources_have_no_edges() -> None:
    black = np.zeros((30, 40), np.uint8)
    assert edge_preservation(NOISE, black, black) == 0.0


def test_source_without_edges_has_no_weight() -> None:
    black = np.zeros_like(NOISE)
    assert edge_preservation(NOISE, NOISE, black) == pytest.approx(strength_kept(1) * orientation_kept(1))


@pytest.mark.parametrize(("fused_level", "ratio"), [(100, 0.5), (150, 0.75), (200, 1.0), (250, 0.8)])
def test_strength(fused_level: int, ratio: float) -> None:
    # In two pixels side by side, each has an edge toward its neighbour of twice the neighbour's level.
    source, fused = np.full((1, 2), 200, np.uint8), np.full((1, 2), fused_level, np.uint8)
    assert edge_preservation(fused, source, source) == pytest.approx(
        strength_kept(ratio) * orientation_kept(1)
    )


def test_orientation_and_weights() -> None:
    # A dot of level k has edges of strength 2k beside it, and sqrt(2) k at the corners, with the angles pi/2
    # above and below, 0 at the sides, pi/4 and -pi/4 at two corners each. Black has strength 0 and, by
    # definition, angle pi/2: the alignments are 1, 0, 1/2 and -1/2.
    above, side, corner, other_corner = (orientation_kept(x) for x in (1, 0, 0.5, -0.5))
    weighted = 4 * above + 4 * side + 2 * math.sqrt(2) * (corner + other_corner)
    expected = strength_kept(0) * weighted / (8 + 4 * math.sqrt(2))
    assert edge_preservation(np.zeros_like(DOT), DOT, DOT) == pytest.approx(expected)


def test_orientations_do_not_wrap_around() -> None:
    # A bright corner pixel has edges of strength 2k below it (angle pi/2) and beside it (0), sqrt(2) k at the
    # opposite corner, at -pi/4: three quarters of pi from black's pi/2, not one.
    corner = np.array([[90, 0], [0, 0]], np.uint8)
    weighted = 2 * orientation_kept(1) + 2 * orientation_kept(0) + math.sqrt(2) * orientation_kept(-0.5)
    expected = strength_kept(0) * weighted / (4 + math.sqrt(2))
    assert edge_preservation(np.zeros_like(corner), corner, corner) == pytest.approx(expected)


def test_sources_are_weighted_by_their_edges() -> None:
    # Pixels in a row: edges 2 * 200 against 2 * 50. F = A keeps A, and a quarter of it is what B has.
    a, b = np.full((1, 2), 200, np.uint8), np.full((1, 2), 50, np.uint8)
    kept = (4 * strength_kept(1) + strength_kept(0.25)) / 5 * orientation_kept(1)
    assert edge_preservation(a, a, b) == pytest.approx(kept)
    assert edge_preservation(a, b, a) == pytest.approx(kept)
