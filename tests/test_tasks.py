from __future__ import annotations

import pytest

from refusion import Chroma, Task, UsageError


def test_parse_takes_names_and_members() -> None:
    assert Task.parse("mif") is Task.mif
    assert Task.parse(Task.meif) is Task.meif


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no task 'ifiv'; choose one of ivif \(infrared \+ visible\), mif"):
        Task.parse("ifiv")


@pytest.mark.parametrize(
    ("a_is_gray", "b_is_gray", "chroma"),
    [
        (True, True, Chroma.NONE),
        (True, False, Chroma.B),
        (False, True, Chroma.A),
        (False, False, Chroma.BOTH),
    ],
)
def test_chroma_follows_the_source_that_has_it(a_is_gray: bool, b_is_gray: bool, chroma: Chroma) -> None:
    assert Chroma.of(a_is_gray=a_is_gray, b_is_gray=b_is_gray) is chroma
