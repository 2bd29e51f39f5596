"""Train on pairs of your own cameras, from the shipped weights on, and compare before and after.

python examples/train_on_your_cameras.py --data MY_CAMERAS --steps 2000

MY_CAMERAS holds train/ir and train/visible to train on, test/ir and test/visible to compare on; without it
there are pairs of the synthetic scene. Needs PyTorch: pip install 'refusion[train]'.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from refusion import Fuser, Task
from refusion.files import match_by_stem, read_image, write_image
from refusion.metrics import evaluate
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.views import contact_sheet
from refusion.training.progress import TerminalProgress
from refusion.training.run import Request, start_or_resume
from refusion.training.validation import SCORED
from refusion.weights import shipped_weights

SETTINGS = (
    "patch_px=64",
    "batch=2",
    "learning_rate=2e-4",
    "photometric=0",
    "cache=off",
    "image_panels_every=0",
)


def write_data(folder: Path) -> None:
    """Write pairs of the synthetic scene: four streets to train on, another one to test on."""
    for part, seeds in (("train", (1, 2, 3, 4)), ("test", (0,))):
        for seed in seeds:
            scene = SyntheticScene(width_px=240, height_px=180, seed=seed)
            for index in range(0, 60, 20):
                pair = scene.pair(index)
                for name, image in (("ir", pair.a), ("visible", pair.b)):
                    place = folder / part / name / f"{seed}-{index}.png"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    write_image(place, image)


def train(data: Path, run: Path, steps: int) -> Path:
    """Train in the run's folder; return the weights that fused the held-out pairs best."""
    weights = shipped_weights(Task.ivif).safetensors
    settings = (*SETTINGS, f"steps={steps}", "validation_pairs=2")
    request = Request(run, task=Task.ivif, data=[data], settings=settings, start_from=weights)
    progress = TerminalProgress()
    for _ in start_or_resume(request, [progress]):
        progress.saved()
    progress.close()
    return run / "best.pt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--run", type=Path, default=Path("runs/my_cameras"), help="folder of the run")
    parser.add_argument("--picture", type=Path, default=Path("train_on_your_cameras.jpg"))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        data = options.data or Path(scratch)
        if options.data is None:
            write_data(data)
        trained = train(data, options.run, options.steps)
        files = match_by_stem(data / "test" / "ir", data / "test" / "visible").pairs
        pairs = [(read_image(a), read_image(b)) for _, a, b in files]

    results = {}
    for label, weights in (("before", None), ("after", trained)):
        with Fuser(Task.ivif, weights=weights) as fuser:
            results[label] = [fuser(a, b) for a, b in pairs]
        metrics = [evaluate(fused, a, b) for fused, (a, b) in zip(results[label], pairs, strict=True)]
        means = {name: sum(each[name] for each in metrics) / len(metrics) for name in SCORED}
        print(label, *(f"{name} {mean:.3f}" for name, mean in means.items()))
    rows = [[a, b, *fused] for (a, b), *fused in zip(pairs, *results.values(), strict=True)][:2]
    sheet = contact_sheet(rows, ("infrared", "visible", *results), tile_width_px=320)
    write_image(options.picture, sheet, force=True)
    print(f"wrote {options.picture}; fuse with --weights {trained}")


if __name__ == "__main__":
    main()
