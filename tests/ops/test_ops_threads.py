"""The thread pool: calls from several threads at once, calls after fork, and the GIL."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from types import ModuleType

import numpy as np
import pytest

from refusion.ops import reference
from refusion.tasks import Chroma

native = pytest.importorskip("refusion.ops.native", reason="the compiled module is not built")


def finished(seed: int, operations: ModuleType) -> np.ndarray:
    """Return the picture of a random pair that is large enough for several bands."""
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(200, 500, 2))
    a, b = random.integers(0, 256, (2, height, width, 3), np.uint8)
    sources = np.empty((2, height, width), np.float32)
    operations.preprocess(a, b, sources)
    picture = np.empty_like(a)
    operations.postprocess(sources.mean(axis=0), a, b, Chroma.BOTH, 0.1, 0.9, picture)
    return picture


def test_several_threads_call_at_once(compiled):
    seeds = range(60)
    with ThreadPoolExecutor(8) as executor:
        pictures = list(executor.map(lambda seed: finished(seed, native), seeds))
    for seed, picture in zip(seeds, pictures, strict=True):
        assert np.abs(picture.astype(int) - finished(seed, reference)).max() <= 1


def test_the_number_of_threads_may_change_during_calls(compiled):
    expected = finished(1, native)
    with ThreadPoolExecutor(4) as executor:
        pictures = [executor.submit(finished, 1, native) for _ in range(40)]
        for count in (1, 4, 2, 5, 3) * 8:
            compiled.set_thread_count(count)
        for picture in pictures:
            np.testing.assert_array_equal(picture.result(), expected)


def test_other_python_threads_run_during_a_call(compiled):
    a = np.zeros((1080, 1920, 3), np.uint8)
    sources = np.empty((2, 1080, 1920), np.float32)
    started, wanted, ran = Event(), Event(), Event()

    def other() -> None:
        started.set()
        wanted.wait()
        ran.set()

    thread = Thread(target=other)
    thread.start()
    started.wait()
    interval = sys.getswitchinterval()
    # From here on no thread is made to give the GIL up: the other runs only while a call has released it.
    sys.setswitchinterval(1000)
    try:
        wanted.set()
        calls = 0
        while not ran.is_set() and calls < 2000:
            native.preprocess(a, a, sources)
            calls += 1
        ran_during_calls = ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert ran_during_calls


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_calls_work_after_fork_while_other_threads_call(tmp_path):
    script = tmp_path / "fork.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, threading
            import numpy as np
            from refusion import _C

            _C.set_thread_count(3)
            a = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
            expected = np.empty((2, 600, 800), np.float32)
            _C.preprocess(a, a[::-1], expected)

            def same():
                out = np.empty_like(expected)
                _C.preprocess(a, a[::-1], out)
                return np.array_equal(out, expected)

            stop = threading.Event()

            def keep_calling():
                while not stop.is_set():
                    assert same()

            threads = [threading.Thread(target=keep_calling) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    grandchild = os.fork() if same() else os._exit(1)
                    if grandchild == 0:
                        os._exit(0 if same() and _C.thread_count() == 3 else 1)
                    os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            stop.set()
            for thread in threads:
                thread.join()
            assert same()
            print("all the same")
            """
        )
    )
    # A hang is what this test is for, so it must end: the limit is far above the second that it takes.
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "all the same\n", done.stderr
