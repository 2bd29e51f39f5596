"""Lessons of the lite network: pairs, what the teacher makes of them, and how it weighs them."""

from __future__ import annotations

import torch
from torch import Tensor

from refusion.training.data import Batch, PairSet, PairSource
from refusion.training.teacher import Teacher

LESSON_STREAM = 4
"""Of random numbers, beside those of the loop."""
CHUNK = 4
"""Pairs that the teacher fuses at once: more do not fit into a CPU's cache, and take longer a pair."""


class Lessons:
    """Gives lessons, (N, 5, patch, patch).

    Planes: source a, source b, what the teacher makes of them, and the weight of source a in its loss, for
    intensities and for gradients; the weight of source b makes up the 1.

    The teacher costs ten times what a step of the lite network does, so it fuses some pairs anew for each
    epoch, and the steps of the epoch are taken on these, turned and flipped. A lesson is a whole patch: how
    the teacher fuses a part depends on all that it sees, and so does the lite network.
    """

    def __init__(
        self,
        pairs: PairSource,
        teacher: Teacher,
        *,
        loss: str,
        count: int,
        steps: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Take the parts; the first epoch's lessons are made when its first mini-batch is drawn.

        Args:
            pairs: Where the pairs come from.
            teacher: Who fuses them, on the device.
            loss: What weighs the sources in the loss: learned, equal or maximum.
            count: Lessons an epoch.
            steps: Steps an epoch.
            device: Where the lessons are kept.

        Raises:
            UsageError: The teacher does not know the loss.
        """
        self.pairs, self.fusion, self.weighting = pairs, teacher.fusion, teacher.weighting(loss)
        self.count, self.steps, self.device = count, steps, torch.device(device)
        self._made: tuple[tuple[int, ...], PairSet] | None = None

    def draw(self, size: int, patch_px: int, seed: tuple[int, ...]) -> Tensor:
        """Draw lessons of an epoch; as PairSource says, but for the planes.

        Args:
            size: How many.
            patch_px: Their side.
            seed: (seed of the run, stream, number of the step).
        """
        run, _, number = seed
        epoch = (run, number // self.steps, patch_px)
        if self._made is None or self._made[0] != epoch:
            self._made = epoch, self._make(*epoch)
        return self._made[1].draw(size, patch_px, seed)

    def _make(self, run: int, epoch: int, patch_px: int) -> PairSet:
        lessons: list[Tensor] = []
        for first in range(0, self.count, CHUNK):
            numbers = range(epoch * self.count + first, epoch * self.count + min(first + CHUNK, self.count))
            # One by one: how a mini-batch of several is varied they have in common.
            drawn = [self.pairs.draw(1, patch_px, (run, LESSON_STREAM, number)) for number in numbers]
            lessons += self._taught(torch.cat(drawn).to(self.device)).cpu()
        names = [str(number) for number in range(self.count)]
        return PairSet.from_arrays(names, [lesson.numpy() for lesson in lessons]).to(self.device)

    @torch.no_grad()
    def _taught(self, sources: Tensor) -> Tensor:
        weights = self.weighting(sources)
        planes = (sources, self.fusion(sources), weights.intensity[:, :1], weights.gradient[:, :1])
        return torch.cat(planes, dim=1)


def lesson_batch(lessons: Tensor) -> Batch:
    """Return lessons as a mini-batch.

    Sources are not swapped, as those of the full network are: a lite network that has to know both orders
    spends its few weights on it (on validation pairs it was 8.7 gray levels off in one order, and 5.7 in the
    other).
    """
    return Batch(lessons[:, :2], lessons[:, 2:])
