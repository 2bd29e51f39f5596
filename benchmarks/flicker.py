"""Measures how steady fused sequences are under each policy of the output range.

    python -m refusion.benchmarks.flicker [--clips FOLDER] [--frames N] [--size WxH] [--threads N]
        [--json FILE]

Sequences are clips of registered infrared and visible video (each a folder with ir.mp4 and vis.mp4) and
synthetic scenes that stand still: with sensor noise, with an exposure that drifts, in fog, which leaves a
third of the contrast, and in fog where a lamp goes on. The shipped network fuses each pair once.

Flicker is the mean over time of the absolute change of the mean gray level; its excess is that of the fused
sequence minus the mean of both sources'. Clipped pixels are those at 0 or 255 where no reference is: against
the sources, and by the range alone, where the unstretched picture counts as a reference too; the most of any
frame.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusion import Fuser, ops
from refusion.benchmarks.facts import facts
from refusion.benchmarks.measurement import print_facts, write_report
from refusion.benchmarks.reports import Report
from refusion.frames import Frame
from refusion.metrics import clipped_pixels, compare_flicker
from refusion.ranges import OutputRange, RangePolicy
from refusion.stream.pairs import VideoPairs
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Chroma

FORMAT = "refusion-flicker-1"

Pairs = Iterable[tuple[Frame, Frame]]

NOISE = 2.0
"""Standard deviation of the sensor noise of still scenes, gray levels."""
DRIFT = 0.2
"""Gray levels a frame."""
FOG_SHARE, FOG_LEVEL = 1 / 3, 110.0
"""What fog leaves of the contrast, and the gray level that it is itself."""
LAMP_SHARE = 1 / 6
"""Of width and height: what lights up in a corner in the middle of a sequence."""


@dataclass(frozen=True)
class Steadiness:
    """One sequence under one policy; flicker in gray levels a frame."""

    sequence: str
    policy: str
    flicker_infrared: float
    flicker_visible: float
    excess: float
    clipped: int
    """Pixels, the most of any frame, where neither source is at that end of the scale."""
    clipped_by_range: int
    """Likewise, and the network's unstretched picture neither."""


def still_scene(
    frames: int,
    *,
    drift: float = 0.0,
    fog: bool = False,
    lamp: bool = False,
    size: tuple[int, int] = (320, 240),
) -> Iterator[tuple[Frame, Frame]]:
    """Yield pairs of a scene that stands still, with sensor noise; size is (width, height)."""
    scene = SyntheticScene(width_px=size[0], height_px=size[1]).pair(0)
    noise = np.random.default_rng(0)
    for index in range(frames):
        views = []
        for view in (scene.a, scene.b):
            levels = view.astype(np.float64)
            if fog:
                levels = FOG_LEVEL + FOG_SHARE * (levels - levels.mean())
            if lamp and index >= frames // 2:
                levels[: round(LAMP_SHARE * size[1]), : round(LAMP_SHARE * size[0])] = 250.0
            noisy = levels + drift * index + noise.normal(0, NOISE, levels.shape)
            views.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
        yield views[0], views[1]


def clip(folder: Path, frames: int) -> Iterator[tuple[Frame, Frame]]:
    """Yield the pairs of a clip."""
    with VideoPairs(folder / "ir.mp4", folder / "vis.mp4") as pairs:
        for pair in itertools.islice(pairs, frames):
            yield pair.a, pair.b


def measure(name: str, pairs: Pairs, fuser: Fuser) -> list[Steadiness]:
    """Fuse the pairs and return how steady the result is under each policy."""
    sources = list(pairs)
    fused = [fuser.luma(a, b) for a, b in sources]
    plain = _finished(fused, sources, RangePolicy.off)
    results = []
    for policy in (RangePolicy.tracked, RangePolicy.off, RangePolicy.image):
        pictures = plain if policy is RangePolicy.off else _finished(fused, sources, policy)
        moments = [(picture, a, b) for picture, (a, b) in zip(pictures, sources, strict=True)]
        flicker = compare_flicker(moments)
        results.append(
            Steadiness(
                name,
                policy.value,
                flicker.a,
                flicker.b,
                flicker.excess,
                max(clipped_pixels(*moment) for moment in moments),
                max(clipped_pixels(*moment, off) for moment, off in zip(moments, plain, strict=True)),
            )
        )
    return results


def _finished(
    fused: Sequence[NDArray[np.float32]], sources: Sequence[tuple[Frame, Frame]], policy: RangePolicy
) -> list[Frame]:
    follower = OutputRange(policy)
    return [
        ops.postprocess(
            plane, a, b, chroma=Chroma.NONE, value_range=follower.of(plane), shoulder=follower.shoulder
        )
        for plane, (a, b) in zip(fused, sources, strict=True)
    ]


def table(results: Sequence[Steadiness]) -> str:
    """Return the results as a Markdown table, a line a sequence."""
    policies = list(dict.fromkeys(result.policy for result in results))
    heads = [f"excess, {policy}" for policy in policies] + [f"clipped, {policy}" for policy in policies]
    lines = ["| " + " | ".join(("sequence", "infrared", "visible", *heads)) + " |"]
    lines.append("|---" * (3 + len(heads)) + "|")
    for name in dict.fromkeys(result.sequence for result in results):
        own = [result for result in results if result.sequence == name]
        cells = [name, f"{own[0].flicker_infrared:.4f}", f"{own[0].flicker_visible:.4f}"]
        cells += [f"{result.excess:.4f}" for result in own]
        cells += [f"{result.clipped} ({result.clipped_by_range})" for result in own]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report_table(report: Report) -> str:
    """Return a report's results as a Markdown table."""
    return table([Steadiness(**result) for result in report["results"]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a Markdown table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="of clips; default: still scenes alone")
    parser.add_argument("--frames", type=int, default=40, help="frames of each sequence, at most")
    parser.add_argument("--size", default="320x240", metavar="WxH", help="of the still scenes")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the network; 0: all cores")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    folders = sorted(path.parent for path in options.clips.glob("*/ir.mp4")) if options.clips else []
    if options.clips and not folders:
        parser.error(f"there are no clips in {options.clips}: each is a folder with ir.mp4 and vis.mp4")
    width, height = (int(number) for number in options.size.split("x"))
    still = partial(still_scene, options.frames, size=(width, height))
    sequences: dict[str, Pairs] = {folder.name: clip(folder, options.frames) for folder in folders}
    sequences |= {
        "still, noise": still(),
        "still, drift": still(drift=DRIFT),
        "still, fog": still(fog=True),
        "still, fog, lamp": still(fog=True, lamp=True),
    }
    results = []
    with Fuser("ivif", device="cpu", threads=options.threads) as fuser:
        for name, pairs in sequences.items():
            results += measure(name, pairs, fuser)
        found = {**facts(options.threads), "fuser": fuser.description}
    print_facts(found)
    print(table(results))
    write_report(options.json, FORMAT, found, results=[asdict(result) for result in results])


if __name__ == "__main__":
    main()
