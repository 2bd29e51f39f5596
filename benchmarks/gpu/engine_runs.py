"""Runs of one engine on the GPU: how long, how close to float32, and what its layers take. Needs pycuda."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np

from refusion.backends.tensorrt.backend import TensorRTBackend
from refusion.backends.tensorrt.device import CudaDevice, cuda_device
from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.backends.tensorrt.graphs import WorkGraphs
from refusion.backends.tensorrt.loading import LoadedEngine
from refusion.backends.tensorrt.network import FUSED, SOURCES, BatchShape, EngineNetwork
from refusion.benchmarks.gpu.limits import Rates, limits
from refusion.benchmarks.gpu.references import Reference
from refusion.benchmarks.gpu.report import Closeness, Latency, table
from refusion.errors import BackendError
from refusion.executor import Executor
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.timing import StageClock

WARM_UP_CALLS = 5
FEWEST_CALLS, MOST_CALLS = 20, 1000
ROTATING_INPUTS = 4
PROFILED_CALLS, PROFILED_ROWS = 10, 40


def repeated(once: Callable[[], float], seconds: float) -> Latency:
    """Time a call again and again; it returns its own milliseconds."""
    for _ in range(WARM_UP_CALLS):
        once()
    times_ms: list[float] = []
    end = time.monotonic() + seconds
    while len(times_ms) < FEWEST_CALLS or (time.monotonic() < end and len(times_ms) < MOST_CALLS):
        times_ms.append(once())
    return Latency.of(times_ms)


def measure(
    loaded: LoadedEngine, reference: Reference, batch: int, rates: Rates, seconds: float
) -> dict[str, Any]:
    """Return the record of an engine at one batch: closeness, times of the network alone and end to end."""
    width_px, height_px = (int(side) for side in reference.size.split("x"))
    floor = limits(width_px, height_px, batch, rates)
    sources, expected = reference.batch(batch)
    backend = TensorRTBackend(loaded)
    try:
        closeness = Closeness.of(backend.run(sources), expected)
    finally:
        backend.close()
    engine_only, way = time_network(loaded, reference, batch, seconds)
    try:
        end_to_end = time_frames(loaded, reference, batch, seconds)
    except BackendError as error:  # the engine's own times are worth having without
        end_to_end = {"end_to_end_problem": str(error)}
    return {
        "size": reference.size,
        "batch": batch,
        **closeness._asdict(),
        "engine": engine_only._asdict(),
        "engine_runs_as": way,
        **end_to_end,
        "times_unfused_limit": engine_only.p50_ms / floor.unfused_ms,
        "times_fused_limit": engine_only.p50_ms / floor.fused_ms,
        "times_flops_limit": engine_only.p50_ms / floor.flops_ms,
        "limits": asdict(floor),
    }


@contextmanager
def _on_device(
    loaded: LoadedEngine, shape: BatchShape
) -> Iterator[tuple[CudaDevice, EngineNetwork, int, Any]]:
    """Give the device, the network ready for a shape, the address of its input, and a stream."""
    device = cuda_device()
    with device.active(f"timing {shape.text}"):
        network, stream = EngineNetwork(loaded), device.stream()
        buffers = [device.device_buffer(size) for size in (shape.sources_bytes, shape.fused_bytes)]
        try:
            network.prepare(shape, **dict(zip((SOURCES, FUSED), (b.pointer for b in buffers), strict=True)))
            yield device, network, buffers[0].pointer, stream
            stream.synchronize()
        finally:
            network.close()
            for buffer in buffers:
                buffer.free()


def time_network(
    loaded: LoadedEngine, reference: Reference, batch: int, seconds: float
) -> tuple[Latency, str]:
    """Time the network alone, on inputs that rotate on the device; also say how it was launched."""
    sources, _ = reference.batch(batch)
    shape = BatchShape(batch, *sources.shape[2:])
    with _on_device(loaded, shape) as (device, network, target, stream):
        driver = device.driver
        rotating = [device.device_buffer(shape.sources_bytes) for _ in range(ROTATING_INPUTS)]
        for turn, buffer in enumerate(rotating):
            shown = np.roll(sources, 5 * turn, axis=-1)
            driver.memcpy_htod_async(buffer.pointer, shown, stream)
            stream.synchronize()
        graphs = WorkGraphs(stream.handle)
        start, end = driver.Event(), driver.Event()
        calls = 0

        def once() -> float:
            nonlocal calls
            calls += 1
            buffer = rotating[calls % ROTATING_INPUTS]
            driver.memcpy_dtod_async(target, buffer.pointer, shape.sources_bytes, stream)
            stream.synchronize()
            start.record(stream)
            graphs.run("network", lambda: network.enqueue(stream.handle))
            end.record(stream)
            end.synchronize()
            return float(end.time_since(start))

        try:
            taken = repeated(once, seconds)
        finally:
            graphs.clear()
            for buffer in rotating:
                buffer.free()
    return taken, f"enqueued ({graphs.problem})" if graphs.problem else "CUDA graph"


def time_frames(loaded: LoadedEngine, reference: Reference, batch: int, seconds: float) -> dict[str, Any]:
    """Time frames to frames: upload, pre, network, post, download.

    Returns:
        The latency of a batch that comes alone; milliseconds a batch where as many are in flight as the
        executor takes; and what it ran on.

    Raises:
        BackendError: refusion._C was compiled without CUDA, or CUDA fails.
    """
    executor = TensorRTExecutor(loaded, StageClock())
    try:
        frames = reference.frames(batch)
        chroma = [Chroma.B] * batch
        follower = OutputRange(RangePolicy.tracked)

        def once() -> float:
            start_ns = time.perf_counter_ns()
            executor.submit(frames, chroma, follower).result()
            return (time.perf_counter_ns() - start_ns) / 1e6

        alone = repeated(once, seconds)
        return {
            "end_to_end": alone._asdict(),
            "end_to_end_steady_ms": _steady_ms(executor, reference, batch, alone.calls),
            "end_to_end_on": executor.description,
        }
    finally:
        executor.close()


def _steady_ms(executor: Executor, reference: Reference, batch: int, calls: int) -> float:
    frames, chroma = reference.frames(batch), [Chroma.B] * batch
    follower = OutputRange(RangePolicy.tracked)
    waiting = [executor.submit(frames, chroma, follower) for _ in range(executor.frames_in_flight)]
    start_ns = time.perf_counter_ns()
    for _ in range(calls):
        waiting.pop(0).result()
        waiting.append(executor.submit(frames, chroma, follower))
    elapsed_ms = (time.perf_counter_ns() - start_ns) / 1e6
    for pending in waiting:
        pending.result()
    return elapsed_ms / calls


def layer_times(loaded: LoadedEngine, reference: Reference, batch: int) -> str:
    """Return what the engine's layers take, longest first, as a Markdown table."""
    sources, _ = reference.batch(batch)
    shape = BatchShape(batch, *sources.shape[2:])
    total_ms: defaultdict[str, float] = defaultdict(float)

    def report_layer_time(_: Any, layer_name: str, ms: float) -> None:
        total_ms[layer_name] += ms

    # The base is known at run time only.
    base = loaded.library.module.IProfiler
    profiler = type("LayerTimes", (base,), {"report_layer_time": report_layer_time})()
    device = cuda_device()
    with device.active(f"profiling {shape.text}"):
        stream = device.stream()
        buffers = [device.device_buffer(size) for size in (shape.sources_bytes, shape.fused_bytes)]
        device.driver.memcpy_htod_async(buffers[0].pointer, sources, stream)
        # A context of its own: with a profiler every call waits for its end.
        context = loaded.engine.create_execution_context()
        context.profiler = profiler
        context.set_input_shape(SOURCES, sources.shape)
        for name, buffer in zip((SOURCES, FUSED), buffers, strict=True):
            context.set_tensor_address(name, buffer.pointer)
        for call in range(1 + PROFILED_CALLS):
            if call == 1:
                total_ms.clear()
            context.execute_async_v3(stream.handle)
            stream.synchronize()
        del context
        for buffer in buffers:
            buffer.free()
    if not total_ms:
        return f"{loaded.library.description} reported no layers\n"
    whole_ms = sum(total_ms.values())
    longest = sorted(total_ms.items(), key=lambda item: -item[1])[:PROFILED_ROWS]
    rows = [
        {"layer": name.replace("|", "/"), "ms": ms / PROFILED_CALLS, "share": f"{ms / whole_ms:.1%}"}
        for name, ms in longest
    ]
    heading = f"{len(total_ms)} layers, {whole_ms / PROFILED_CALLS:.3f} ms a call of {shape.text}, profiled"
    return f"{heading}\n\n{table(rows)}"
