"""Views: what each shows, one size for each, and words where a camera is missing."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.errors import UsageError
from refusion.stream.moments import SourceState
from refusion.stream.monitoring import StreamFrame
from refusion.stream.rendering import View, ViewSettings, announcement, render
from refusion.thermal import Palette
from refusion.warp import Warp

HEIGHT, WIDTH = 120, 160
INFRARED = np.full((HEIGHT, WIDTH), 60, np.uint8)
INFRARED[40:80, 70:90] = 220
VISIBLE = np.full((HEIGHT, WIDTH, 3), (10, 90, 160), np.uint8)
FUSED = np.full((HEIGHT, WIDTH, 3), (30, 110, 180), np.uint8)
LIVE = (SourceState.live, SourceState.live)
# The lower half, which no banner reaches.
BELOW = np.s_[HEIGHT // 2 :]


def frame(
    *,
    infrared: bool = True,
    visible: bool = True,
    states: tuple[SourceState, SourceState] = LIVE,
    frozen: bool = False,
    warp: Warp | None = None,
) -> StreamFrame:
    return StreamFrame(
        index=0,
        time_ns=0,
        fused=FUSED if infrared and visible else None,
        infrared=INFRARED if infrared else None,
        visible=VISIBLE if visible else None,
        warp=warp,
        skew_ns=0 if infrared and visible else None,
        states=states,
        is_infrared_frozen=frozen,
    )


WHOLE = frame()
WITHOUT_INFRARED = frame(infrared=False, states=(SourceState.lost, SourceState.live))
WITHOUT_VISIBLE = frame(visible=False, states=(SourceState.live, SourceState.stalled))


def size_of(view: View) -> tuple[int, int]:
    return (HEIGHT, 2 * WIDTH if view is View.side else WIDTH)


@pytest.mark.parametrize("shown", [WHOLE, WITHOUT_INFRARED, WITHOUT_VISIBLE], ids=["both", "no-ir", "no-vis"])
@pytest.mark.parametrize("view", View)
def test_view_has_one_size_and_is_never_black(view: View, shown: StreamFrame) -> None:
    picture = render(shown, ViewSettings(view))
    assert picture.dtype == np.uint8
    assert picture.shape[:2] == size_of(view)
    assert picture[BELOW].reshape(HEIGHT // 2, -1).max(axis=1).min() > 50


@pytest.mark.parametrize("palette", Palette)
def test_each_view_shows_what_it_says(palette: Palette) -> None:
    infrared = palette.apply(INFRARED)
    shown = {view: render(WHOLE, ViewSettings(view, palette, blend=0.25)) for view in View}
    np.testing.assert_array_equal(shown[View.fused], FUSED)
    np.testing.assert_array_equal(shown[View.visible], VISIBLE)
    np.testing.assert_array_equal(shown[View.ir], infrared)
    np.testing.assert_array_equal(shown[View.side], np.hstack([infrared, VISIBLE]))
    mixed = 0.25 * infrared + 0.75 * VISIBLE
    np.testing.assert_allclose(shown[View.blend], mixed, atol=1)


@pytest.mark.parametrize(("share", "expected"), [(0.0, VISIBLE), (1.0, Palette.white_hot.apply(INFRARED))])
def test_blend_goes_from_visible_to_infrared(share: float, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(render(WHOLE, ViewSettings(View.blend, blend=share)), expected)


def test_edges_of_infrared_lie_on_visible() -> None:
    picture = render(WHOLE, ViewSettings(View.edges))
    changed = (picture != VISIBLE).any(axis=2)
    assert changed[60, 66:74].any()
    assert changed[36:44, 80].any()
    assert not changed[60, 78:82].any()
    assert not changed[:30].any()
    assert not changed[:, :60].any()


def test_edges_are_in_place() -> None:
    changed = (render(WHOLE, ViewSettings(View.edges)) != VISIBLE).any(axis=2)
    # The warm box begins at (70, 40), between two pixels.
    assert np.flatnonzero(changed[60, :80]).mean() == 69.5
    assert np.flatnonzero(changed[:60, 80]).mean() == 39.5


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (WHOLE, None),
        (WITHOUT_INFRARED, "infrared lost: visible only"),
        (WITHOUT_VISIBLE, "visible stalled: infrared only"),
        (frame(infrared=False, states=LIVE), "infrared late: visible only"),
        (
            frame(visible=False, states=(SourceState.live, SourceState.connecting)),
            "visible connecting: infrared only",
        ),
        (frame(frozen=True), "infrared held: shutter closed"),
    ],
)
def test_announcement(shown: StreamFrame, text: str | None) -> None:
    assert announcement(shown) == text


@pytest.mark.parametrize("view", [view for view in View if view is not View.side])
def test_other_camera_stands_in_under_a_banner(view: View) -> None:
    picture = render(WITHOUT_INFRARED, ViewSettings(view))
    np.testing.assert_array_equal(picture[BELOW], VISIBLE[BELOW])
    banner = picture[: HEIGHT // 8]
    assert banner.max() > 200
    assert (banner != VISIBLE[: HEIGHT // 8]).any()
    alone = render(WITHOUT_VISIBLE, ViewSettings(view, Palette.black_hot))
    np.testing.assert_array_equal(alone[BELOW], Palette.black_hot.apply(INFRARED)[BELOW])
    assert (VISIBLE == (10, 90, 160)).all()


def test_side_by_side_puts_a_card_where_a_camera_is_missing() -> None:
    picture = render(WITHOUT_INFRARED, ViewSettings(View.side))
    np.testing.assert_array_equal(picture[:, WIDTH:], VISIBLE)
    card = picture[:, :WIDTH]
    assert card.min() > 50
    assert card.max() > 200
    other = render(WITHOUT_VISIBLE, ViewSettings(View.side))
    np.testing.assert_array_equal(other[:, :WIDTH], Palette.white_hot.apply(INFRARED))


def test_closed_shutter_is_announced_on_the_infrared_half_only() -> None:
    held = render(frame(frozen=True), ViewSettings(View.side))
    np.testing.assert_array_equal(held[:, WIDTH:], VISIBLE)
    assert (held[:, :WIDTH] != Palette.white_hot.apply(INFRARED)).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (33, 47)])
def test_banner_fits_any_picture(size: tuple[int, int]) -> None:
    gray = np.full(size, 77, np.uint8)
    shown = StreamFrame(0, 0, None, None, gray, None, None, (SourceState.lost, SourceState.live))
    for view in View:
        width = 2 * size[1] if view is View.side else size[1]
        assert render(shown, ViewSettings(view)).shape[:2] == (size[0], width)


def off_centre_warp() -> Warp:
    """Return one by which a small infrared camera sees only the middle of the view."""
    matrix = np.array([[0.5, 0.0, -20.0], [0.0, 0.5, -15.0], [0.0, 0.0, 1.0]])
    return Warp.of_homography(matrix, size=(WIDTH, HEIGHT), source_size=(WIDTH // 4, HEIGHT // 4))


@pytest.mark.parametrize("view", View)
def test_where_infrared_sees_nothing_visible_stays_and_nothing_is_cold(view: View) -> None:
    small = np.full((HEIGHT // 4, WIDTH // 4), 200, np.uint8)
    shown = StreamFrame(0, 0, FUSED, small, VISIBLE, off_centre_warp(), 0, LIVE)
    picture = render(shown, ViewSettings(view, Palette.black_hot))
    assert picture.shape[:2] == size_of(view)
    outside = picture[:20, :20]
    if view is View.fused:
        np.testing.assert_array_equal(picture, FUSED)
    elif view in (View.ir, View.side):
        np.testing.assert_array_equal(outside, 24)
        np.testing.assert_array_equal(picture[60, 80], 55)
    else:
        np.testing.assert_array_equal(outside, VISIBLE[:20, :20])
        # The border of infrared's view is no edge.
        assert (picture[60, 80] == VISIBLE[60, 80]).all() == (view is not View.blend)


def test_aligned_infrared_is_shown_when_it_is_alone() -> None:
    small = np.full((HEIGHT // 4, WIDTH // 4), 200, np.uint8)
    states = (SourceState.live, SourceState.lost)
    alone = render(StreamFrame(0, 0, None, small, None, off_centre_warp(), None, states), ViewSettings())
    assert alone.shape[:2] == (HEIGHT, WIDTH)
    assert (alone[60, 80] == 200).all()


def test_names() -> None:
    assert [view.name for view in View] == ["fused", "ir", "visible", "side", "blend", "edges"]
    assert View.parse("side") is View.side is View.parse(View.side)
    with pytest.raises(UsageError, match="there is no view 'both'; choose one of fused, ir, visible, side"):
        View.parse("both")


@pytest.mark.parametrize("share", [-0.1, 1.01, float("nan")])
def test_share_must_be_one(share: float) -> None:
    with pytest.raises(UsageError, match="must be from 0 to 1, not"):
        ViewSettings(View.blend, blend=share)
