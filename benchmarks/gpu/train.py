"""Trains one task for some minutes, from where the piece before ended.

    bash benchmarks/gpu/run.sh train TASK SECONDS [KEY=VALUE ...]

Reads the pairs from benchmarks/gpu/.pack/TASK.tar and, if it is there, goes on with the run in
benchmarks/gpu/.pack/run-TASK. Writes to $OUT: run-TASK (state.pt, best.pt, settings.json, losses.jsonl),
validation-TASK.md and contact-TASK.png. Settings (KEY=VALUE) belong to the first piece; the run keeps them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refusion import ops
from refusion.benchmarks.gpu.folders import PACKED, output_folder, packed_commit
from refusion.benchmarks.gpu.pack import unpacked
from refusion.files import write_image
from refusion.models.fusion import FusionModule
from refusion.stream.views import contact_sheet
from refusion.tasks import Chroma, Task
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import load_pairs
from refusion.training.loop import BEST, STATE
from refusion.training.run import SETTINGS_FILE, Request, start_or_resume
from refusion.training.tracking import LOSSES_FILE
from refusion.training.validation import centre_crop

KEPT = (STATE, BEST, SETTINGS_FILE, LOSSES_FILE)
"""Files of a run that its next piece needs."""

RESERVED_SECONDS = 60
"""For the validation under way when time is up, the last checkpoint and the pictures."""

CONTACT_PAIRS, CONTACT_PX = 6, 256


def train_piece(
    task: Task, seconds: float, settings: Sequence[str], out: Path, packed: Path = PACKED
) -> None:
    """Train until the time is up or the run is done; write all results to a folder.

    Raises:
        RefusionError: What starting or resuming a run raises.
    """
    started = time.monotonic()
    run, before = out / f"run-{task.name}", packed / f"run-{task.name}"
    resume = (before / STATE).is_file()
    run.mkdir(parents=True)
    for name in KEPT if resume else ():
        if (before / name).is_file():
            shutil.copy(before / name, run)
    with unpacked(task, packed) as data:
        minutes = max(0.01, (seconds - RESERVED_SECONDS - (time.monotonic() - started)) / 60)
        cache = f"cache={data / 'cache'}"
        request = Request(
            run=run,
            task=None if resume else task,
            data=[data],
            settings=[*settings, cache, f"stop_after_minutes={minutes:.3f}"],
            resume=resume,
        )
        for record in start_or_resume(request):
            print(" ".join(f"{name}={value:.4g}" for name, value in record.items()), flush=True)
        manifest = _completed_manifest(run, packed)
        write_contact_sheet(run, task, data, manifest, out / f"contact-{task.name}.png")
    (out / f"validation-{task.name}.md").write_text(validation_table(run))
    for path in run.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = torch.load(run / STATE, map_location="cpu", weights_only=True)["epoch"]
    elapsed_s = time.monotonic() - started
    print(
        f"{done} of {manifest['configuration']['epochs']} epochs are done; this piece took {elapsed_s:.0f} s"
    )


def _completed_manifest(run: Path, packed: Path) -> dict[str, Any]:
    """Return the manifest of the run, with the commit, which a copy of a checkout cannot know."""
    path = run / SETTINGS_FILE
    manifest: dict[str, Any] = json.loads(path.read_text())
    if manifest["commit"] is None:
        manifest["commit"] = packed_commit(packed)
        path.write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def validation_table(run: Path) -> str:
    """Return losses and metrics of every epoch as a Markdown table."""
    path = run / LOSSES_FILE
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    columns = list(dict.fromkeys(name for record in records for name in record))
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for record in records:
        cells = (f"{record[name]:.4g}" if name in record else "" for name in columns)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_contact_sheet(run: Path, task: Task, data: Path, manifest: dict[str, Any], path: Path) -> None:
    """Write what the run's best fusion module makes of some pairs that it was not trained on."""
    configuration = TrainingConfiguration.of_record(manifest["configuration"])
    pairs = load_pairs([data], task, configuration.patch_px, cache=data / "cache")
    _, held_out = pairs.split(max(1, configuration.validation_pairs), configuration.seed)
    chosen = run / (BEST if (run / BEST).is_file() else STATE)
    state = torch.load(chosen, map_location="cpu", weights_only=True)["modules"]
    fusion = FusionModule()
    own = {name.removeprefix("fusion."): v for name, v in state.items() if name.startswith("fusion.")}
    fusion.load_state_dict(own)
    rows = []
    for index in range(min(CONTACT_PAIRS, len(held_out))):
        pair = np.ascontiguousarray(centre_crop(held_out[index], CONTACT_PX))
        with torch.no_grad():
            fused = fusion(torch.from_numpy(pair)[None])[0, 0].numpy()
        a, b = np.rint(255 * pair).astype(np.uint8)
        picture = ops.postprocess(fused, a, b, chroma=Chroma.NONE, value_range=ops.value_range(fused))
        rows.append([a, b, picture])
    labels = [task.value.source_a, task.value.source_b, "fused"]
    write_image(path, contact_sheet(rows, labels, tile_width_px=CONTACT_PX), force=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=[task.name for task in Task])
    parser.add_argument("seconds", type=float, help="until this command has ended")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    train_piece(Task.parse(options.task), options.seconds, options.settings, output_folder())


if __name__ == "__main__":
    main()
