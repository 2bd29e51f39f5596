"""What stands in for cameras, data and time where the commands of the documentation are run.

Commands run in a folder that holds everything they name, made from the synthetic scene: see `workshop`. What
no folder can hold is replaced, word by word, by WORDS; what would take long is made short by SHORTER; what
NOT_RUN names is checked alone.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from refusion.files import write_image
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video_writer import VideoWriter

ROOT = Path(__file__).parents[2]
SCENE = SyntheticScene(width_px=96, height_px=64)

WORDS = {
    r"(?:rtsp|gst):.*|/dev/video\d+|SRC": "synthetic:?width=96&height=64&frames=3",
    r"127\.0\.0\.1:8080": "127.0.0.1:0",
    r"480x640": "32x48",
    r"(?:127\.0\.0\.1|gpu7):8001": "{triton}",
    r"(refusion/weights/.*)": rf"{ROOT}/\1",
}
"""By a pattern of the whole word. `{triton}` is the address of a server."""

_STEP = "steps=1 batch=1 patch_px=48 lessons=1 validation_pairs=1 image_panels_every=0"
_HERE = "device=cpu threads=1 workers=0 cache=off"
SHORTER = {
    r"calibrate (?!.*--method)": "--method full_view",  # the scene is too small to be matched
    r"calibrate .*--method board": "--ir board/ir --visible board/visible --no-lenses",
    r"bench quality": "--limit 2",
    r"bench quality (?!.*--method)": "--method lite --method average",
    r"demo": "--frames 3 --width 64 --height 48",
    r"export (?!.*--shape)": "--shape 32x48",
    r"export": "--force",
    r"train (?!.*--resume)": f"{_STEP} {_HERE}",
}
"""Words that are added, by the beginning of the command; of an option given twice the last one counts."""

NOT_RUN = {
    r"bench latency (?!--compare)|bench latency$": "measures for minutes",
    r"batch .*--ray": "takes Ray ten seconds to start",
    r"export(?!.*--format)": "builds an engine for the GPU of this machine",
    r"export .*--onnx": "as above",
    r"export .*--format triton": "is verified up to 1920x1080, for minutes",
    r"train .*--data data": "an example of what is refused",
}
"""By the beginning of the command: why it is not run."""

NEEDS = {
    "train": ("torch",),
    "export": ("torch", "onnx", "onnxsim"),
    ".*tensorrt-rtx": ("tensorrt_rtx",),
    r".*\.pth?\b": ("torch",),
    ".*--official": ("torch",),
    ".*--serve": ("aiohttp",),
    ".*--triton-url": ("tritonclient",),
    "bench quality .*-o": ("matplotlib",),
}
"""Packages that commands need, by their beginning; without one they are checked alone."""


_TESTS = [f"{root}/ivif/{name}" for root in ("DATA", "FOLDER", "DIR") for name in ("test", "test_roadscene")]
FOLDERS = (
    ("ir", "visible"),
    ("infrared", "visible"),
    ("DATA/train/ir", "DATA/train/vis"),
    ("TEST/ir", "TEST/vis"),
    ("MSRS/train/ir", "MSRS/train/vi"),
    ("MY_CAMERAS/ir", "MY_CAMERAS/visible"),
    ("RoadScene/cropinfrared", "RoadScene/crop_LR_visible"),
    ("Lytro/near", "Lytro/far"),
    ("MFIFB/near", "MFIFB/far"),
    *((f"{test}/ir", f"{test}/vis") for test in _TESTS),
)
"""Of pairs."""

PREPARED = (
    "refusion calibrate --ir SRC --visible SRC -o calibration.yaml",
    "refusion fuse ir/ visible/ -o fused/",
    "refusion fuse TEST/ir TEST/vis -o out/ours",
    "refusion train --task ivif --data MSRS -o runs/ivif",
    "refusion train --model lite --task ivif --data RoadScene -o runs/ivif-lite",
)
"""What pages take for granted that other pages make."""


def why_not_run(words: Sequence[str]) -> str | None:
    """Return why a command of ours is not run here; None: it is."""
    text = " ".join(words)
    missing = {
        package
        for pattern, packages in NEEDS.items()
        if re.match(pattern, text)
        for package in packages
        if importlib.util.find_spec(package) is None
    }
    reasons = [reason for pattern, reason in NOT_RUN.items() if re.match(pattern, text)]
    return next(iter(reasons), f"needs {', '.join(missing)}" if missing else None)


def adapted(words: Sequence[str], triton: str) -> list[str]:
    """Return the words of a command of ours with what stands in for things that are not here."""
    adapted = []
    for word in words:
        for pattern, replacement in WORDS.items():
            if re.fullmatch(pattern, word):
                word = re.sub(pattern, replacement, word).format(triton=triton)
        adapted.append(word)
    text = " ".join(words)
    added = " ".join(extra for key, extra in SHORTER.items() if re.match(key, text))
    return [*adapted, *added.split()]


def workshop(folder: Path) -> None:
    """Fill a folder with what commands name: pairs, videos, data sets, results of others, weights."""
    pairs = [SCENE.pair(10 * index) for index in range(3)]
    for a, b in FOLDERS:
        for index, pair in enumerate(pairs):
            _write(folder / a / f"{index}.png", pair.a)
            _write(folder / b / f"{index}.png", pair.b)
    for index, pair in enumerate(pairs):
        _write(folder / "DIV2K" / f"{index}.png", pair.b)
        for name in ("tno", "roadscene"):
            _write(folder / "seafusion" / name / f"{index}.png", pair.b)
    _write(folder / "ir.png", pairs[0].a)
    _write(folder / "visible.png", pairs[0].b)
    size = (SCENE.width_px, SCENE.height_px)
    with (
        VideoWriter(folder / "ir.mp4", rate=SCENE.rate_hz, size=size) as infrared,
        VideoWriter(folder / "visible.mp4", rate=SCENE.rate_hz, size=size) as visible,
    ):
        for pair in pairs:
            infrared.write(pair.a)
            visible.write(pair.b)
    (folder / "pairs.csv").write_text("a,b\n" + "".join(f"ir/{n}.png,visible/{n}.png\n" for n in range(3)))
    for name in ("BEFORE.json", "AFTER.json"):
        shutil.copy(ROOT / "benchmarks" / "results" / "cpu.json", folder / name)
    _write_boards(folder / "board")
    if importlib.util.find_spec("torch") is not None:
        _write_checkpoints(folder)


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_image(path, image)


def _write_boards(folder: Path) -> None:
    """Write what both cameras see of a chessboard of 9x6 inner corners, infrared with inverted contrast."""
    squares = np.kron(np.indices((7, 10)).sum(axis=0) % 2, np.ones((16, 16), int)).astype(np.uint8)
    for index, place in enumerate(((10, 10), (60, 20), (30, 90), (90, 100))):
        visible = np.full((240, 320), 235, np.uint8)
        y, x = place
        visible[y : y + 112, x : x + 160] = np.where(squares, 235, 20)
        _write(folder / "ir" / f"{index}.png", 255 - visible)
        _write(folder / "visible" / f"{index}.png", visible)


def _write_checkpoints(folder: Path) -> None:
    """Write weights as a run and as the official repository have them: ours, under their names."""
    import torch
    from safetensors.torch import load_file

    from refusion.tasks import Task
    from refusion.weights import shipped_weights

    state = load_file(shipped_weights(Task.ivif).safetensors)
    for name in ("ReFusion_IVIF.pth", "ReFusion/checkpoints/ReFusion_IVIF.pth"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, folder / name)
