"""A roofline report as Markdown tables."""

from __future__ import annotations

from typing import Any

from refusion.benchmarks.latency.tables import markdown

Report = dict[str, Any]


def counts_table(report: Report) -> str:
    """Return what a frame costs, and each pixel of it."""
    rows = []
    for one in report["counts"]:
        pixels = one["size"][0] * one["size"][1]
        per_pixel = (one[name] - one["weight_bytes"] for name in ("least_bytes", "layer_bytes"))
        rows.append(
            [
                one["model"],
                one["precision"],
                _size(one),
                f"{one['flops'] / 1e9:.3g}",
                f"{one['flops'] / pixels:,.0f}",
                str(one["passes"]),
                *(f"{value / pixels:,.0f}" for value in per_pixel),
                f"{one['weight_bytes'] / 1024:,.0f}",
            ]
        )
    columns = ("network", "maps", "frame", "GFLOP", "FLOP a pixel", "passes", "least bytes a pixel")
    return markdown((*columns, "bytes a pixel by operation", "weights KiB"), rows)


def rates_table(report: Report) -> str:
    """Return what was measured of this machine."""
    rows = []
    for device, rates in report["rates"].items():
        copied = f"{rates['copy_bytes_per_s'] / 1e9:,.1f} GB/s"
        rows.append([f"{device}, copy in memory", copied, "bytes read + written"])
        for name, product in rates["products"].items():
            rate = f"{product['flops_per_s'] / 1e9:,.0f} GFLOP/s"
            rows.append([f"{device}, {name} product", rate, product["library"]])
    return markdown(("at best", "rate", "of"), rows)


def closeness_table(report: Report) -> str:
    """Return how close each network comes to its floor."""
    rows = [
        [
            one["title"],
            _size(one) + (f", batch {one['batch']}" if one["batch"] > 1 else ""),
            one["precision"],
            *(_ms(one[name]) for name in ("frame_ms", "products_ms", "traffic_ms", "layers_ms")),
            one["bound"],
            f"{one['share']:.1%}",
        ]
        for one in report["closeness"]
    ]
    times = ("frame p50 ms", "products ms", "least traffic ms", "traffic by operation ms")
    return markdown(("network alone", "size", "products in", *times, "bound by", "floor / time"), rows)


def predictions_table(report: Report) -> str:
    """Return the predictions, a row for each device and network."""
    predicted = report["predictions"]
    sizes = list(dict.fromkeys(map(_size, predicted)))
    devices = {device["name"]: device for device in report["devices"]}
    rows = []
    for name, model in dict.fromkeys((one["device"], one["model"]) for one in predicted):
        device = devices[name]
        own = {_size(one): one for one in predicted if (one["device"], one["model"]) == (name, model)}
        cells = [f"{_ms(own[size]['floor_ms'])} to {_ms(own[size]['layers_ms'])}" for size in sizes]
        rates = f"{device['memory_bytes_per_s'] / 1e9:,.4g}", f"{device['float16_flops_per_s'] / 1e12:,.4g}"
        rows.append([name, *rates, model, *cells])
    heads = ("prediction, float16", "GB/s", "TFLOP/s", "network")
    return markdown((*heads, *(f"{size} ms" for size in sizes)), rows)


def sources_text(report: Report) -> str:
    """Return where the devices' rates are from, as a list."""
    return "\n".join(f"- {device['name']}: {device['source']}." for device in report["devices"])


def report_text(report: Report) -> str:
    """Return everything, for a terminal."""
    parts = [counts_table(report), rates_table(report)]
    if report["closeness"]:
        parts.append(closeness_table(report))
    return "\n\n".join([*parts, predictions_table(report), sources_text(report)])


def _size(one: dict[str, Any]) -> str:
    return "x".join(map(str, one["size"]))


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
