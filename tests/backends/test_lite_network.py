"""The lite network in C++: equal to the PyTorch module, whatever the size, the threads and the vectors."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed")
_C = pytest.importorskip("refusion._C", reason="the compiled module is not built")

from refusion import Fuser  # noqa: E402
from refusion.models import lite  # noqa: E402
from refusion.models.checkpoints import save_network  # noqa: E402

Tensors = dict[str, NDArray[np.float32]]
SIZES = ((1, 1), (1, 40), (37, 1), (2, 3), (15, 17), (16, 16), (17, 15), (33, 47), (97, 129), (250, 331))


def random_module() -> lite.LiteModule:
    torch.manual_seed(0)
    return lite.LiteModule().eval()


def tensors_of(module: lite.LiteModule) -> Tensors:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


@pytest.fixture(scope="module")
def module() -> lite.LiteModule:
    return random_module()


@pytest.fixture(scope="module")
def tensors(module: lite.LiteModule) -> Tensors:
    return tensors_of(module)


def sources(height: int, width: int, count: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(height * width).random((count, 2, height, width), np.float32)


@pytest.mark.parametrize("instruction_set", _C.instruction_sets())
def test_it_computes_what_the_module_computes(
    module: lite.LiteModule, tensors: Tensors, instruction_set: str
) -> None:
    network = _C.LiteNetwork(tensors, instruction_set=instruction_set)
    assert network.instruction_set == instruction_set
    for height, width in SIZES:
        pairs = sources(height, width, 2)
        with torch.inference_mode():
            expected = module(torch.from_numpy(pairs)).numpy()
        if height * width > 10000:
            assert ((expected > 0) & (expected < 1)).mean() > 0.5
        np.testing.assert_allclose(network.run(pairs), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_sources(module: lite.LiteModule, tensors: Tensors, value: float) -> None:
    flat = np.full((1, 2, 50, 70), value, np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(flat)).numpy()
    np.testing.assert_allclose(_C.LiteNetwork(tensors).run(flat), expected, atol=1e-5, rtol=0)


@pytest.fixture
def three_threads() -> Iterator[None]:
    threads = _C.thread_count()
    _C.set_thread_count(3)
    yield
    _C.set_thread_count(threads)


def test_the_number_of_threads_changes_no_bit(tensors: Tensors, three_threads: None) -> None:
    networks = [_C.LiteNetwork(tensors, threads=threads) for threads in (0, 1, 2, 7)]
    for height, width in ((3, 5), (97, 129), (250, 331)):
        pairs = sources(height, width)
        first, *others = (network.run(pairs) for network in networks)
        for other in others:
            np.testing.assert_array_equal(other, first)


def test_threads_share_a_network(tensors: Tensors, three_threads: None) -> None:
    network = _C.LiteNetwork(tensors)
    inputs = [sources(60 + 3 * index, 130 - index) for index in range(24)]
    expected = [_C.LiteNetwork(tensors, threads=1).run(pair) for pair in inputs]
    with ThreadPoolExecutor(6) as executor:
        for found, result in zip(executor.map(network.run, inputs), expected, strict=True):
            np.testing.assert_array_equal(found, result)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("fusion.output.weight", lambda w: w[:, :5], r"output.weight is \(1, 5, 3, 3\), not \(1, 16, 3, 3\)"),
        ("fusion.output.weight", lambda w: w * np.nan, "output.weight has values that are NaN or infinite"),
        ("fusion.output.weight", lambda w: None, "the tensor output.weight is missing"),
        ("gain", lambda w: np.zeros(1), "the tensor gain is not of this network"),
    ],
)
def test_bad_tensors_are_refused(tensors: Tensors, name: str, change: object, message: str) -> None:
    changed = change(tensors.get(name))  # type: ignore[operator]
    others = {key: value for key, value in tensors.items() if key != name}
    if changed is not None:
        others[name] = np.ascontiguousarray(changed, np.float32)
    with pytest.raises(ValueError, match=message):
        _C.LiteNetwork(others)


def test_bad_calls_are_refused(tensors: Tensors) -> None:
    with pytest.raises(ValueError, match="this machine has no instruction set 'mmx'; it has "):
        _C.LiteNetwork(tensors, instruction_set="mmx")
    network = _C.LiteNetwork(tensors)
    for shape in ((2, 4, 4), (1, 3, 4, 4), (0, 2, 4, 4), (1, 2, 0, 4)):
        with pytest.raises(ValueError, match=r"sources must be \(N, 2, H, W\), not of shape"):
            network.run(np.zeros(shape, np.float32))


def test_a_file_of_the_lite_network_runs_natively_by_itself(module: lite.LiteModule, tmp_path: Path) -> None:
    path = tmp_path / "lite.safetensors"
    save_network(module, path, task="ivif")
    a, b = np.random.default_rng(0).integers(0, 256, (2, 60, 90), np.uint8)
    with Fuser(weights=path) as fuser, Fuser(weights=path, backend="torch", model="lite") as reference:
        assert fuser.description.startswith("native C++, ")
        np.testing.assert_allclose(fuser.luma(a, b), reference.luma(a, b), atol=1e-5, rtol=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_calls_work_after_fork_while_other_threads_call(tensors: Tensors, tmp_path: Path) -> None:
    np.savez(tmp_path / "tensors.npz", **tensors)
    script = tmp_path / "fork.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, threading
            import numpy as np
            from refusion import _C

            _C.set_thread_count(3)
            network = _C.LiteNetwork(dict(np.load(sys.argv[1])))
            sources = np.random.default_rng(0).random((1, 2, 200, 300), np.float32)
            expected = network.run(sources)
            stop = threading.Event()

            def same():
                return np.array_equal(network.run(sources), expected)

            def keep_calling():
                while not stop.is_set():
                    assert same()

            threads = [threading.Thread(target=keep_calling) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in range(10):
                child = os.fork()
                if child == 0:
                    os._exit(0 if same() and same() else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            stop.set()
            for thread in threads:
                thread.join()
            print("all the same")
            """
        )
    )
    # A hang is what this test is for, so it must end: the limit is far above the second that it takes.
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script), str(tmp_path / "tensors.npz")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "all the same\n", done.stderr
