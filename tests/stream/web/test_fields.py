"""Fields of requests."""

from __future__ import annotations

import pytest

from refusion.errors import RefusionError
from refusion.stream.rendering import View, ViewSettings
from refusion.stream.web.fields import Fields
from refusion.thermal import Palette


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "must be JSON, and is not"),
        (b"{", "must be JSON, and is not"),
        (b"\xff\xfe", "must be JSON, and is not"),
        (b"[" * 100_000, "must be JSON, and is not"),
        (b"[]", "must be a JSON object, not a list"),
        (b"null", "must be a JSON object, not null"),
        (b"3", "must be a JSON object, not a number"),
    ],
)
def test_body_is_an_object(body: bytes, message: str) -> None:
    with pytest.raises(RefusionError, match=message):
        Fields.parse(body)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"view": "both"}, "there is no view 'both'; choose one of fused, ir"),
        ({"view": 3}, "'view' must be a string, not a number"),
        ({"palette": "pink"}, "there is no palette 'pink'; choose one of white-hot"),
        ({"palette": None}, "'palette' must be a string, not null"),
        ({"blend": 1.5}, "'blend' must be from 0 to 1, not 1.5"),
        ({"blend": "half"}, "'blend' must be a number, not a string"),
        ({"blend": True}, "'blend' must be a number, not a boolean"),
        ({"blend": float("nan")}, "'blend' must be from 0 to 1, not nan"),
        ({"blend": 10**400}, r"'blend' must be from 0 to 1, not 10000000000000000\.\.\."),
    ],
)
def test_view_settings_are_checked(values: dict[str, object], message: str) -> None:
    with pytest.raises(RefusionError, match=message):
        Fields(values).view_settings()


def test_view_settings() -> None:
    assert Fields({}).view_settings() == ViewSettings()
    chosen = Fields({"view": "blend", "palette": "black-hot", "blend": 0.2499}).view_settings()
    assert chosen == ViewSettings(View.blend, Palette.black_hot, 0.25)


def test_blend_counts_where_it_is_seen_only() -> None:
    assert Fields({"view": "ir", "blend": 0.2}).view_settings() == ViewSettings(View.ir)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (None, "'p' must be a list of at most 3 points"),
        ([[1, 2]] * 4, "'p' must be a list of at most 3 points"),
        ([1, 2], "each point of 'p' must be"),
        ([[1, 2, 3]], "each point of 'p' must be"),
        ([[1, "2"]], "y of 'p' must be a number, not a string"),
        ([[float("inf"), 2]], "x of 'p' must be from -100000 to 100000, not inf"),
    ],
)
def test_points_are_checked(points: object, message: str) -> None:
    with pytest.raises(RefusionError, match=message):
        Fields({"p": points}).points("p", most=3)


def test_points() -> None:
    assert Fields({"p": [[1, 2.5], [3, 4]]}).points("p", most=3) == [(1.0, 2.5), (3.0, 4.0)]
    with pytest.raises(RefusionError, match="the request lacks 'p'"):
        Fields({}).points("p", most=3)
