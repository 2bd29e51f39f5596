"""Times a meta step against a straight transcription of the paper, in one run.

    python -m refusion.benchmarks.meta_step [--patch N] [--batch N] [--repeats N] [--threads N] [--json FILE]

The transcription keeps the inner updates in the graph and differentiates through them twice. Both give the
same gradient (tests/training/test_meta.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from refusion.benchmarks.measurement import machine, median_ms, print_facts, print_ratios, write_report
from refusion.models.fusion import FusionModule
from refusion.models.proposal import LossProposal
from refusion.models.reconstruction import ReconstructionModule
from refusion.training.data import Batch
from refusion.training.losses import LossFactors, fusion_loss, reconstruction_loss
from refusion.training.meta import accumulate_meta_gradient

RATE, FACTORS = 1e-3, LossFactors(gradient=0.5)


def transcribed_objective(
    fusion: nn.Module,
    proposal: nn.Module,
    reconstruction: nn.Module,
    inner: Batch,
    outer: Batch,
    *,
    learning_rate: float,
    factors: LossFactors,
) -> Tensor:
    """Return the outer objective of the meta phase as the paper writes it, inner updates in the graph."""

    def descended(module: nn.Module, loss: Tensor) -> dict[str, Tensor]:
        named = dict(module.named_parameters())
        gradients = torch.autograd.grad(loss, list(named.values()), create_graph=True)
        return {
            name: value - learning_rate * gradient
            for (name, value), gradient in zip(named.items(), gradients, strict=True)
        }

    fused = fusion(inner.sources)
    loss = fusion_loss(fused, inner.sources, proposal(inner.sources), factors)
    adapted = descended(fusion, loss)
    inner_loss = reconstruction_loss(reconstruction(fused.detach()), inner.targets)
    adapted_reconstruction = descended(reconstruction, inner_loss)
    outer_fused = functional_call(fusion, adapted, (outer.sources,))
    returned = functional_call(reconstruction, adapted_reconstruction, (outer_fused,))
    return reconstruction_loss(returned, outer.targets)


def measure(patch_px: int, batch: int, repeats: int) -> dict[str, float]:
    """Return the median milliseconds of a meta step, transcribed and ours."""
    torch.manual_seed(0)
    fusion, proposal, reconstruction = modules = FusionModule(), LossProposal(), ReconstructionModule()
    for module in modules:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inner, outer = (Batch.from_pairs(torch.rand(batch, 2, patch_px, patch_px)) for _ in range(2))

    def transcribed() -> None:
        objective = transcribed_objective(
            fusion, proposal, reconstruction, inner, outer, learning_rate=RATE, factors=FACTORS
        )
        torch.autograd.grad(objective, list(proposal.parameters()))

    def ours() -> None:
        accumulate_meta_gradient(
            fusion, proposal, reconstruction, inner, outer, learning_rate=RATE, factors=FACTORS
        )

    ways = {"transcription, second-order graph": transcribed, "ours, forward mode": ours}
    return dict(zip(ways, median_ms(list(ways.values()), repeats), strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a Markdown table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4, help="pairs before they are doubled by swapping")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves PyTorch's default")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    facts = {**machine(), "torch": torch.__version__, "torch_threads": torch.get_num_threads()}
    times_ms = measure(options.patch, options.batch, options.repeats)
    print_facts(facts)
    print_ratios(f"patch {options.patch}, batch {options.batch} | seconds a meta step, p50", times_ms)
    write_report(options.json, facts, patch_px=options.patch, batch=options.batch, median_ms=times_ms)


if __name__ == "__main__":
    main()
