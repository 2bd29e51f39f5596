"""How close each backend comes to what this machine can do, and what other devices could do at best.

    python -m refusion.benchmarks.roofline [REPORT.json ...] [--json FILE] [--force] [--threads N]

Counts the arithmetic of both networks and the least bytes that must cross memory (roofline_graph,
roofline_passes); measures this machine's rates (roofline_rates), and the GPU's where PyTorch finds one. From
them follow the least milliseconds of a frame, to which the times of `refusion bench latency --json` reports
are set: they must be of this machine. For the devices of roofline_devices the same is predicted from their
data sheets.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from refusion.benchmarks.facts import facts
from refusion.benchmarks.latency import FORMAT as LATENCY
from refusion.benchmarks.reports import read_report, write_report
from refusion.benchmarks.roofline_devices import DEVICES
from refusion.benchmarks.roofline_rates import SECONDS, DeviceRates, cpu_rates, gpu_rates
from refusion.errors import BackendError, InputError
from refusion.models import Model

FORMAT = "refusion-roofline-1"
SIZES = ((640, 480), (1280, 720), (1920, 1080))
COUNTED_PRECISIONS = ("float32", "float16")


@dataclass(frozen=True)
class Count:
    """What a network costs on one frame."""

    model: str
    precision: str
    size: tuple[int, int]
    """Width and height."""
    flops: int
    least_bytes: int
    layer_bytes: int
    """Where each operation reads its operands from memory and writes its result there."""
    passes: int
    weight_bytes: int


@dataclass(frozen=True)
class Floor:
    """The least milliseconds of a frame on a device: what both take if they overlap perfectly."""

    products_ms: float
    traffic_ms: float
    layers_ms: float
    """The traffic of a network run operation by operation: not a floor, but what fusing them has to gain."""

    @property
    def ms(self) -> float:
        """The larger of both."""
        return max(self.products_ms, self.traffic_ms)

    @property
    def bound(self) -> str:
        """Which is the larger one."""
        return "products" if self.products_ms >= self.traffic_ms else "memory"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        rounded = {name: round(value, 5) for name, value in asdict(self).items()}
        return {**rounded, "floor_ms": round(self.ms, 5), "bound": self.bound}


@lru_cache
def count(model: Model, precision: str, size: tuple[int, int]) -> Count:
    """Count a network's operations and bytes on one frame.

    Raises:
        InputError: The size is too small to be counted.
    """
    from refusion.benchmarks.roofline_graph import graph_of, network
    from refusion.benchmarks.roofline_passes import least_passes

    graph = graph_of(network(model, precision), size)
    passes = least_passes(graph)
    return Count(
        model.name,
        precision,
        size,
        graph.flops,
        passes.bytes,
        graph.layer_bytes,
        passes.count,
        graph.weight_bytes,
    )


def floor(counted: Count, *, flops_per_s: float, bytes_per_s: float) -> Floor:
    """Return the least milliseconds of a counted frame."""
    return Floor(
        1e3 * counted.flops / flops_per_s,
        1e3 * counted.least_bytes / bytes_per_s,
        1e3 * counted.layer_bytes / bytes_per_s,
    )


def closeness(report: Mapping[str, Any], rates: Mapping[str, DeviceRates]) -> Iterator[dict[str, Any]]:
    """Yield, for each network that a latency report has alone, its floor and what share of its time that is.

    A batch is that many frames. What a device has no rate for, or is too small to be counted, is left out.

    Args:
        report: Of `refusion bench latency`.
        rates: By device as the report has it: "cpu" and, where there is one, "cuda".
    """
    for result in report["network"]:
        device = rates.get(result.get("device", "cpu"))
        product = device and device.products.get(result["precision"])
        if not device or not product:
            continue
        try:
            counted = count(Model.parse(result["model"]), result["precision"], tuple(result["size"]))
        except InputError:
            continue
        least = floor(counted, flops_per_s=product.flops_per_s, bytes_per_s=device.copy_bytes_per_s)
        frame_ms = result["network"]["p50_ms"] / result["batch"]
        yield {
            **{name: result[name] for name in ("title", "model", "runner", "precision", "size", "batch")},
            "frame_ms": round(frame_ms, 4),
            **least.as_json(),
            "share": round(least.ms / frame_ms, 6),
        }


def predictions() -> Iterator[dict[str, Any]]:
    """Yield what the devices could do at best by their data sheets, in float16."""
    for device in DEVICES:
        for model in Model:
            for size in SIZES:
                least = floor(
                    count(model, "float16", size),
                    flops_per_s=device.float16_flops_per_s,
                    bytes_per_s=device.memory_bytes_per_s,
                )
                names = {"device": device.name, "model": model.name, "size": list(size)}
                yield {**names, "precision": "float16", **least.as_json()}


def refuse_other_machine(report: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    """Refuse times of another machine than the one whose rates were measured.

    Raises:
        InputError: Processor or threads differ.
    """
    for name in ("processor", "threads"):
        if report["facts"][name] != own[name]:
            raise InputError(
                f"{path} was measured on another machine: {name} {report['facts'][name]!r}, here "
                f"{own[name]!r}; its shares would be of the wrong rates"
            )


def run(reports: Sequence[Path], threads: int, *, seconds: float = SECONDS) -> dict[str, Any]:
    """Count, measure and return the report as JSON holds it.

    Args:
        reports: Of `refusion bench latency`.
        threads: 0 for all processors.
        seconds: How long each rate is measured.

    Raises:
        InputError: A latency report cannot be read, or is another machine's.
        BackendError: PyTorch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise BackendError("the networks are counted with PyTorch: pip install 'refusion[export]'")
    own = facts(threads)
    read = []
    for path in reports:
        read.append(read_report(path, of=LATENCY))
        refuse_other_machine(read[-1], own, path)
    rates = {"cpu": cpu_rates(int(str(own["threads"])), seconds=seconds)}
    if _has_gpu():
        rates["cuda"] = gpu_rates()
    return {
        "format": FORMAT,
        "facts": own,
        "rates": {device: asdict(found) for device, found in rates.items()},
        "counts": [
            asdict(count(model, precision, SIZES[0])) for model in Model for precision in COUNTED_PRECISIONS
        ],
        "closeness": [record for report in read for record in closeness(report, rates)],
        "devices": [asdict(device) for device in DEVICES],
        "predictions": list(predictions()),
    }


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write JSON if asked to."""
    from refusion.benchmarks.roofline_tables import report_text
    from refusion.files import refuse_unwritable

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", nargs="*", type=Path, metavar="REPORT", help="of bench latency --json")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.add_argument("--threads", type=int, default=0, help="0: all processors")
    options = parser.parse_args(arguments)
    if options.json is not None:
        refuse_unwritable(options.json, force=options.force)
    report = run(options.reports, options.threads)
    print(report_text(report))
    if options.json is not None:
        write_report(options.json, report, force=options.force)


if __name__ == "__main__":
    main()
