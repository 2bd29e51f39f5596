"""Measures calibration from the scene: real pairs are warped by known maps, and the maps are recovered.

    python -m refusion.benchmarks.alignment [--data DIR] [--sets tno,road,video,synthetic] [--cases N]
                                            [--seed N] [--json FILE]

A case takes a registered pair and shows it to two cameras: the visible one sees a part, the infrared one
another part, with a field of view of 0.5 to 2 times the visible one's, shifted, turned by up to 5 degrees and
in mild perspective; half of the cases at a quarter of the resolution, half with inverted contrast. Errors are
means over the common view, pixels of the visible picture, against two truths: the data set's registration,
which is off by several pixels in places; and the reference, the map found on the unwarped pair starting from
its registration.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.features import Pyramid
from refusion.alignment.geometry import (
    Matrix,
    centre_of,
    corners_of,
    inverse,
    mapped,
    resized,
    similarity,
    translation,
)
from refusion.alignment.scene import estimate_from_scene, reference_fit
from refusion.alignment.search import common_points
from refusion.benchmarks.facts import facts
from refusion.benchmarks.measurement import print_facts, write_report
from refusion.benchmarks.reports import Report
from refusion.files import match_by_stem, read_image
from refusion.frames import Frame
from refusion.stream.pairs import VideoPairs
from refusion.stream.synthetic import SyntheticScene

FORMAT = "refusion-alignment-1"
FIELD_RATIOS = (0.5, 0.7, 1.0, 1.4, 2.0)
WRONG_PX = 5.0
Frames = list[tuple[Frame, Frame]]


@dataclass(frozen=True)
class Result:
    """One case."""

    set: str
    pair: str
    field_ratio: float
    infrared_size: tuple[int, int]
    visible_size: tuple[int, int]
    inverted: bool
    doubt: str | None
    """Why the estimate is refused; None where it is accepted."""
    error_px: float
    """Against the reference."""
    registration_error_px: float
    """Against the data set's registration."""
    pitch_px: float
    """Size of infrared's pixels, pixels of visible."""
    stated_px: float
    """Error that the estimate states of itself."""
    score: float
    rivalry: float
    agreeing: int
    parts: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Case:
    """What two cameras see of a registered pair."""

    frames: Frames
    to_infrared: Matrix
    """From the pair's pixels to infrared's."""
    to_visible: Matrix
    inverted: bool
    field_ratio: float


def load_set(name: str, data: Path) -> list[tuple[str, Frames]]:
    """Return the registered pairs of a set, or of its clips three frames each."""
    if name == "synthetic":
        scenes = [SyntheticScene(width_px=640, height_px=480, seed=seed) for seed in range(8)]
        return [(f"seed {s.seed}", [(p.a, p.b) for p in (s.pair(0), s.pair(40), s.pair(80))]) for s in scenes]
    if name == "video":
        clips = []
        for folder in sorted((data / "video").iterdir()):
            with VideoPairs(folder / "ir.mp4", folder / "vis.mp4") as pairs:
                frames = [(pair.a, pair.b) for pair in pairs]
            clips.append((folder.name, [frames[i] for i in (0, len(frames) // 2, len(frames) - 1)]))
        return clips
    folder = data / "ivif" / {"tno": "test", "road": "test_roadscene"}[name]
    matches = match_by_stem(folder / "ir", folder / "vis")
    return [(stem, [(read_image(a), read_image(b))]) for stem, a, b in matches.pairs]


def make_case(frames: Frames, number: int, random: np.random.Generator) -> Case:
    """Return a case of a pair; its number chooses field of view, resolution and contrast, in turn."""
    ratio = FIELD_RATIOS[number % len(FIELD_RATIOS)]
    shrink = 4 if number // len(FIELD_RATIOS) % 2 else 1
    inverted = bool(number // 2 % 2)
    height, width = frames[0][0].shape[:2]
    infrared_size = (width // shrink, height // shrink)
    infrared_share, visible_share = (ratio, 1.0) if ratio < 1 else (0.95, 0.95 / ratio)
    if ratio == 1:
        infrared_share = visible_share = 0.85
    visible_size = (int(width * visible_share), int(height * visible_share))
    while True:
        left = int(random.integers(0, width - visible_size[0] + 1))
        top = int(random.integers(0, height - visible_size[1] + 1))
        middle = (
            (left + visible_size[0] / 2, top + visible_size[1] / 2) if ratio <= 1 else (width / 2, height / 2)
        )
        shift = random.uniform(-1, 1, 2) * (0.25 * (1 - infrared_share) + 0.05) * (width, height)
        infrared_share *= 0.999  # narrow pictures leave little room to turn in
        corners = corners_of(infrared_size)
        bent = corners + random.uniform(-0.015, 0.015, (4, 2)) * infrared_size
        perspective = cv2.getPerspectiveTransform(corners.astype(np.float32), bent.astype(np.float32))
        from_infrared = (
            translation(middle[0] + shift[0], middle[1] + shift[1])
            @ similarity(
                (0, 0),
                scale=infrared_share * random.uniform(0.92, 1.0) * width / infrared_size[0],
                rotation_deg=random.uniform(-5, 5),
            )
            @ translation(*(-c for c in centre_of(infrared_size)))
            @ np.asarray(perspective, np.float64)
        )
        seen = mapped(from_infrared, corners)
        is_inside = bool((seen >= 0).all() and (seen <= (width - 1, height - 1)).all())
        to_infrared, to_visible = inverse(from_infrared), translation(-left, -top)
        common = common_points(to_infrared @ inverse(to_visible), visible_size, infrared_size)
        if is_inside and len(common) >= 0.7 * 16**2 * min(1.0, infrared_share / visible_share) ** 2:
            break
    pairs = []
    for infrared, visible in frames:
        picture = _seen(infrared, from_infrared, infrared_size)
        part = visible[top : top + visible_size[1], left : left + visible_size[0]]
        pairs.append((255 - picture if inverted else picture, np.ascontiguousarray(part)))
    return Case(pairs, to_infrared, to_visible, inverted, ratio)


def _seen(picture: Frame, places: Matrix, size: tuple[int, int]) -> Frame:
    """Return the picture as a camera sees it: each pixel gathers the light of its whole area."""
    fine = max(1, int(np.ceil(np.sqrt(abs(np.linalg.det(places[:2, :2]))))))
    large = (size[0] * fine, size[1] * fine)
    sampled = cv2.warpPerspective(
        picture, places @ resized(large, size), large, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    )
    return np.asarray(cv2.resize(sampled, size, interpolation=cv2.INTER_AREA), np.uint8)


def error_px(found: Matrix, truth: Matrix, size: tuple[int, int], infrared_size: tuple[int, int]) -> float:
    """Return the mean distance between two maps over the true common view, pixels of visible."""
    points = common_points(truth, size, infrared_size)
    distances = np.hypot(*(mapped(inverse(truth), mapped(found, points)) - points).T)
    return float(np.nan_to_num(distances, nan=1e4).mean())


def measure(name: str, pair: str, frames: Frames, number: int, seed: int) -> Result:
    """Run one case."""
    random = np.random.default_rng([seed, number])
    case = make_case(frames, number, random)
    registered = Pyramid([a for a, _ in frames]), Pyramid([b for _, b in frames])
    reference = np.eye(3) if name == "synthetic" else reference_fit(*registered).matrix
    start = time.perf_counter()
    infrared, visible = Pyramid([a for a, _ in case.frames]), Pyramid([b for _, b in case.frames])
    estimate = estimate_from_scene(infrared, visible)
    seconds = time.perf_counter() - start
    sizes = visible.size, infrared.size
    back = inverse(case.to_visible)
    truth = case.to_infrared @ back
    found = estimate.fit.matrix if estimate else np.full((3, 3), np.nan)
    return Result(
        name,
        pair,
        case.field_ratio,
        infrared.size,
        visible.size,
        case.inverted,
        estimate.doubt(visible.size) if estimate else "nothing found",
        error_px(found, case.to_infrared @ reference @ back, *sizes) if estimate else 1e4,
        error_px(found, truth, *sizes) if estimate else 1e4,
        float(np.sqrt(abs(np.linalg.det(inverse(truth)[:2, :2])))),
        estimate.expected_error_px if estimate else 0.0,
        estimate.fit.score if estimate else 0.0,
        estimate.rivalry if estimate else 0.0,
        estimate.agreement.agreeing if estimate else 0,
        estimate.agreement.parts if estimate else 0,
        seconds,
    )


def describe(result: Result) -> str:
    """Return a case in one line."""
    sizes = " on ".join(f"{w}x{h}" for w, h in (result.infrared_size, result.visible_size))
    return (
        f"{result.set} {result.pair}, field of view {result.field_ratio}, {sizes}: "
        f"error {result.error_px:.2f} px ({result.registration_error_px:.2f} to the registration), "
        f"stated {result.stated_px:.2f}, {result.agreeing} of {result.parts} parts, "
        f"rivalry {result.rivalry:.2f}, {result.seconds:.1f} s, {result.doubt or 'accepted'}"
    )


def table(results: Sequence[Result]) -> str:
    """Return the figures of each set as a Markdown table."""
    lines = [
        "| set | cases | refused | wrong (> 5 px) | error p50 | p90 | in infrared pixels p50 | p90 "
        "| against registration p50 | p90 | stated p50 | seconds p50 |",
        "|" + "---|" * 12,
    ]
    for name in dict.fromkeys(result.set for result in results):
        rows = [result for result in results if result.set == name]
        accepted = [row for row in rows if row.doubt is None]
        wrong = sum(row.error_px > WRONG_PX for row in accepted)
        columns: list[NDArray[np.float64]] = [
            np.array([getattr(row, field) for row in accepted])
            for field in ("error_px", "pitch_px", "registration_error_px", "stated_px")
        ]
        error, pitch, registration, stated = columns
        figures = [
            f"{np.percentile(values, share):.2f}" if len(accepted) else "-"
            for values, share in (
                (error, 50),
                (error, 90),
                (error / pitch, 50),
                (error / pitch, 90),
                (registration, 50),
                (registration, 90),
                (stated, 50),
            )
        ]
        seconds = f"{np.median([row.seconds for row in rows]):.1f}"
        counts = [str(len(rows)), str(len(rows) - len(accepted)), str(wrong)]
        lines.append("| " + " | ".join([name, *counts, *figures, seconds]) + " |")
    return "\n".join(lines)


def report_table(report: Report) -> str:
    """Return a report's cases as a Markdown table."""
    return table([Result(**case) for case in report["cases"]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a Markdown table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with ivif/ and video/"
    )
    parser.add_argument("--sets", default="tno,road,video,synthetic")
    parser.add_argument("--cases", type=int, default=50, help="of each set")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and every case there too")
    options = parser.parse_args(arguments)
    results = []
    for name in options.sets.split(","):
        pairs = load_set(name, options.data)
        for number in range(options.first, options.first + options.cases):
            pair, frames = pairs[number % len(pairs)]
            result = measure(name, pair, frames[: 1 + number % 2 * 2], number, options.seed)
            results.append(result)
            print(describe(result), flush=True)
    found = facts(0)
    print_facts(found)
    print(table(results))
    cases = [asdict(result) for result in results]
    write_report(options.json, FORMAT, found, seed=options.seed, cases=cases)


if __name__ == "__main__":
    main()
