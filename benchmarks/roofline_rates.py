"""What this machine does at best: bytes a second of a large copy, operations a second of a matrix product.

A copy is NumPy's, on all threads together, of arrays that are much larger than caches. A product is the
quicker of NumPy's (its BLAS) and PyTorch's, of matrices that stay in a core's cache, in a process for each
thread at the same time: on a core it comes within some percent of what its multiply-add units can do, and no
thread waits for another. Of many calls the quickest counts, so that what else runs on the machine disturbs it
little; it is not what a program reaches on average.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from refusion.benchmarks.facts import instruction_sets
from refusion.errors import BackendError

COPY_MIB = 256
SIDES = (256, 384)
SECONDS = 1.0
"""How long a copy, and each product, is repeated."""


@dataclass(frozen=True)
class Product:
    """The rate of matrix products of one type."""

    flops_per_s: float
    library: str
    """Whose product it was."""


@dataclass(frozen=True)
class DeviceRates:
    """What a processor or a GPU does at best."""

    copy_bytes_per_s: float
    """Bytes read plus bytes written."""
    products: dict[str, Product]
    """By type of the operands: float32, and bfloat16 or float16 where there is such a product."""


def cpu_rates(threads: int, *, seconds: float = SECONDS) -> DeviceRates:
    """Measure the processor.

    Args:
        threads: How many work at the same time.
        seconds: How long a copy, and each product, is repeated.

    Raises:
        BackendError: A measuring process died.
    """
    return DeviceRates(_copy_bytes_per_s(threads, seconds), _products(threads, seconds))


def gpu_rates() -> DeviceRates:
    """Measure the GPU, through PyTorch."""
    import torch

    from refusion.benchmarks.gpu.stopwatch import copy_bytes_per_s, matmul_flops_per_s

    library = f"PyTorch {torch.__version__}"
    types = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    return DeviceRates(
        copy_bytes_per_s("cuda"),
        {name: Product(matmul_flops_per_s("cuda", dtype), library) for name, dtype in types.items()},
    )


def _copy_bytes_per_s(threads: int, seconds: float) -> float:
    source = np.ones(COPY_MIB << 20, np.uint8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        quickest_s = _quickest_s(
            lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)), seconds
        )
    return 2 * source.nbytes / quickest_s


def _quickest_s(call: Callable[[], object], seconds: float) -> float:
    call()
    times_ns: list[int] = []
    end_s = time.perf_counter() + seconds
    while not times_ns or time.perf_counter() < end_s:
        start_ns = time.perf_counter_ns()
        call()
        times_ns.append(time.perf_counter_ns() - start_ns)
    return min(times_ns) / 1e9


def _products(threads: int, seconds: float) -> dict[str, Product]:
    """Return the sum of what a process for each thread reaches, of the quickest library for each type."""
    # BLAS and OpenMP read their settings once, when they are loaded.
    settings = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if "avx512f" in instruction_sets():
        # OpenBLAS takes its AVX2 kernels on AMD's processors, which is half of what they can do since Zen 5.
        settings["OPENBLAS_CORETYPE"] = "SKYLAKEX"
    # Not in the current folder: a checkout there would hide an installed package.
    folder = Path(sys.executable).anchor
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(seconds)],
            cwd=folder,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(threads)
    ]
    found = []
    for process in processes:
        out, err = process.communicate()
        if process.returncode:
            reason = (err.strip().splitlines() or [f"status {process.returncode}"])[-1]
            raise BackendError(f"a process that measures matrix products ended: {reason}")
        found.append({name: Product(**product) for name, product in json.loads(out).items()})
    return {
        name: Product(sum(one[name].flops_per_s for one in found), product.library)
        for name, product in found[0].items()
    }


def products_of_a_thread(seconds: float) -> dict[str, Product]:
    """Return the quickest products of this process, whose libraries should have one thread."""
    found: dict[str, Product] = {}
    for side in SIDES:
        for name, library, call in _calls(side):
            rate = 2 * side**3 / _quickest_s(call, seconds)
            if name not in found or rate > found[name].flops_per_s:
                found[name] = Product(rate, library)
    return found


def _calls(side: int) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Yield type, library and call of each product of matrices with that side."""
    a, b = np.random.default_rng(0).random((2, side, side), np.float32)
    out = np.empty_like(a)
    yield "float32", f"NumPy {np.__version__}", partial(np.matmul, a, b, out=out)
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        left, right = torch.from_numpy(a).to(dtype), torch.from_numpy(b).to(dtype)
        result = torch.empty_like(left)
        yield name, f"PyTorch {torch.__version__}", partial(torch.mm, left, right, out=result)


def main() -> None:
    """Print this process's products as JSON; the argument says how many seconds each is repeated."""
    products = products_of_a_thread(float(sys.argv[1]))
    print(json.dumps({name: asdict(product) for name, product in products.items()}))


if __name__ == "__main__":
    main()
