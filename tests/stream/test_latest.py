from __future__ import annotations

import threading
import time

from refusion.stream.latest import Latest
from refusion.stream.moments import SourceState
from refusion.stream.monitoring import StreamFrame


def frame(index: int) -> StreamFrame:
    return StreamFrame(index, 0, None, None, None, None, None, (SourceState.live, SourceState.live))


def test_waiting_gives_the_newest_frame_above_a_number() -> None:
    latest = Latest()
    assert latest.wait(-1, timeout_s=0.01) is None
    for index in range(3):
        latest.put(frame(index))
    found = latest.wait(-1, timeout_s=0)
    assert found is not None
    assert found.index == 2
    assert latest.wait(2, timeout_s=0.01) is None


def test_who_waits_is_woken_by_a_frame_and_by_the_end() -> None:
    latest = Latest()
    found: list[int | None] = []

    def look() -> None:
        first = latest.wait(-1, timeout_s=30)
        found.append(first.index if first else None)
        second = latest.wait(7, timeout_s=30)
        found.append(second.index if second else None)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    latest.put(frame(7))
    time.sleep(0.05)
    latest.end()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert sorted(found, key=str) == [7, 7, 7, None, None, None]
