"""Times of calls on a PyTorch device, and the rates of the device that limits are computed from."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle, islice

import torch
from torch import Tensor

from refusion.benchmarks.gpu.limits import Rates
from refusion.benchmarks.gpu.report import Latency

WARM_UP_CALLS = 3
FEWEST_CALLS, MOST_CALLS = 10, 400

COPY_BYTES = {"cuda": 4 << 30, "cpu": 16 << 20}
MATMUL_SIDE = {"cuda": 8192, "cpu": 256}
RATE_SECONDS = 1.0


def latency(call: Callable[[Tensor], object], inputs: list[Tensor], seconds: float) -> Latency:
    """Time calls one by one, from an idle device to an idle device, with inputs that rotate.

    Args:
        call: Takes one input and enqueues its work on the current stream.
        inputs: On the device. Together larger than its cache, so that no call finds its input there.
        seconds: How long to go on, between FEWEST_CALLS and MOST_CALLS calls.
    """
    once = _event_ms if inputs[0].is_cuda else _clock_ms
    rotating = cycle(inputs)
    for sources in islice(rotating, WARM_UP_CALLS):
        once(call, sources)
    times_ms: list[float] = []
    end = time.monotonic() + seconds
    while len(times_ms) < FEWEST_CALLS or (time.monotonic() < end and len(times_ms) < MOST_CALLS):
        times_ms.append(once(call, next(rotating)))
    return Latency.of(times_ms)


def _event_ms(call: Callable[[Tensor], object], sources: Tensor) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    call(sources)
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end))


def _clock_ms(call: Callable[[Tensor], object], sources: Tensor) -> float:
    start_ns = time.perf_counter_ns()
    call(sources)
    return (time.perf_counter_ns() - start_ns) / 1e6


def measure_rates(device: str) -> Rates:
    """Measure a large copy and a large FP16 matrix product on random data."""
    return Rates(copy_bytes_per_s(device), matmul_flops_per_s(device, torch.float16))


def copy_bytes_per_s(device: str) -> float:
    """Return the rate of a large copy within the device's memory: bytes read plus bytes written."""
    source = torch.rand(COPY_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2e3 * source.nbytes / latency(target.copy_, [source], RATE_SECONDS).p50_ms


def matmul_flops_per_s(device: str, dtype: torch.dtype) -> float:
    """Return the rate of a large matrix product on random data; float32 without TF32, PyTorch's default."""
    side = MATMUL_SIDE[device]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2e3 * side**3 / latency(lambda left: left @ b, [a], RATE_SECONDS).p50_ms
