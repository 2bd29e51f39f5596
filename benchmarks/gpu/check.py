"""Checks in about two minutes whether a GPU trains as the CPU does, and how fast each way of training is.

    bash benchmarks/gpu/run.sh check [--patch N] [--batch N]

Prints one line a check and the tables of refusion.benchmarks.training_step; writes check.json and steps.json
to $OUT. It ends with status 1 if a check fails. Without a GPU the same code compares the CPU with itself.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from refusion.benchmarks import training_step
from refusion.benchmarks.gpu.folders import output_folder
from refusion.benchmarks.measurement import machine
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch
from refusion.training.graphs import GraphedSteps
from refusion.training.losses import LossFactors
from refusion.training.steps import Steps

FACTORS = LossFactors(gradient=0.5)
ROUNDS = 6
"""Rounds of one step of each kind: more than a capture needs to warm up."""

PATCH_PX = 64

LARGEST_LOSS_DIFFERENCE = {"float32": 5e-3, "bfloat16": 5e-2}
"""Relative, over ROUNDS: rounding grows from step to step."""
LEAST_COSINE = {"float32": 0.9999, "bfloat16": 0.99}
"""Between first gradients and the CPU's in float32."""


class Check(NamedTuple):
    """One comparison."""

    name: str
    value: float
    limit: float
    passed: bool


def mini_batch(seed: int, device: str) -> Batch:
    """Return a small mini-batch of smooth random planes, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 2, 8, 8, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=PATCH_PX, mode="bicubic").clamp(0, 1)
    return Batch.from_pairs(fine.to(device))


def gradients(steps: Steps, device: str) -> dict[str, Tensor]:
    """Return the first gradient of each module, flat, on the CPU; the steps move on by it."""
    steps.meta(mini_batch(0, device), mini_batch(1, device), FACTORS, move=False)
    found = {"proposal": _flat(steps, "proposal")}
    steps.descend(mini_batch(2, device), FACTORS)
    return {**found, **{name: _flat(steps, name) for name in ("fusion", "reconstruction")}}


def _flat(steps: Steps, name: str) -> Tensor:
    found = [p.grad for p in steps.modules[name].parameters() if p.grad is not None]
    return torch.cat([gradient.detach().double().cpu().flatten() for gradient in found])


def losses(steps: Steps, device: str) -> Tensor:
    """Return the losses of ROUNDS rounds: meta steps, every second with a step of P, and one descent each."""
    rows = []
    for number in range(ROUNDS):
        seeds = range(10 + 4 * number, 14 + 4 * number)
        one, two, three, four = (mini_batch(seed, device) for seed in seeds)
        waiting = steps.meta(one, two, FACTORS, move=False)
        moving = steps.meta(three, four, FACTORS, move=True)
        rows.append(torch.cat((waiting, moving, steps.descend(one, FACTORS)[:2])))
    return torch.stack(rows).double().cpu()


def compare(device: str) -> list[Check]:
    """Compare gradients and losses on the device with those on the CPU in float32."""
    configuration = TrainingConfiguration()
    expected_gradients = gradients(Steps(configuration), "cpu")
    expected_losses = losses(Steps(configuration), "cpu")
    checks = []
    for precision in ("float32", "bfloat16"):
        settings = configuration.override([f"precision={precision}"])
        for name, gradient in gradients(Steps(settings, device=device), device).items():
            expected = expected_gradients[name]
            cosine = float(gradient @ expected / gradient.norm() / expected.norm())
            limit = LEAST_COSINE[precision]
            checks.append(Check(f"{precision}, cosine of {name} gradient", cosine, limit, cosine >= limit))
        for graphed in (False, True):
            steps = (GraphedSteps if graphed else Steps)(settings, device=device)
            difference = float(((losses(steps, device) - expected_losses) / expected_losses).abs().max())
            limit = LARGEST_LOSS_DIFFERENCE[precision]
            how = "captured" if graphed else "eager"
            checks.append(
                Check(f"{precision}, {how}, difference of losses", difference, limit, difference <= limit)
            )
            if isinstance(steps, GraphedSteps) and device == "cuda":
                captured = steps.captured
                checks.append(Check(f"{precision}, steps are captured", float(captured), 1.0, captured))
    return checks


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, time, write, and fail where a check failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--compile", action="store_true", help="time compiled modules too: minutes more")
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    checks = compare(device)
    for check in checks:
        print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.value:.6f} (limit {check.limit})")
    content = {"machine": {**machine(), "torch": torch.__version__}, "checks": [c._asdict() for c in checks]}
    (output_folder() / "check.json").write_text(json.dumps(content, indent=1) + "\n")
    variants = ["ours", "bfloat16", "graph", "graph-bfloat16"]
    variants += ["graph-compile", "graph-compile-bfloat16"] if options.compile else []
    command = ["--device", device, "--patch", str(options.patch), "--batch", str(options.batch)]
    training_step.main([*command, "--json", str(output_folder() / "steps.json"), "--variants", *variants])
    if not all(check.passed for check in checks):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
