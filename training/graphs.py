"""Steps as CUDA graphs: the thousands of small kernels of a step are launched as one.

At the usual sizes of mini-batches a GPU would otherwise wait for Python most of the time.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch
from refusion.training.lite_steps import LiteSteps
from refusion.training.losses import LossFactors
from refusion.training.meta import Average, average_of_one
from refusion.training.steps import Steps

log = logging.getLogger(__name__)

WARM_UP_CALLS = 3
"""Calls before a step is captured: lazy initialisation and the choice of kernels must be over by then."""


def steps_for(
    configuration: TrainingConfiguration, *, device: torch.device | str, average: Average = average_of_one
) -> Steps:
    """Return the steps of a run: those of the full network captured on a GPU, all others plain."""
    if configuration.model == "lite":
        return LiteSteps(configuration, device=device, average=average)
    if torch.device(device).type != "cuda":
        return Steps(configuration, device=device, average=average)
    if average is not average_of_one:
        log.info("steps are not captured as CUDA graphs: the run has several processes")
        return Steps(configuration, device=device, average=average)
    return GraphedSteps(configuration, device=device)


class StaticStep:
    """A step over buffers that stay in place, captured once it is warm and replayed from then on.

    The warm-up calls are real steps, so that training goes the same way with and without a capture.
    """

    def __init__(self, step: Callable[..., Tensor], example: Sequence[Tensor], *, capture: bool) -> None:
        """Allocate the buffers.

        Args:
            step: Called with the buffers; reads and changes tensors on the device alone.
            example: Inputs of a call: all calls have tensors of these shapes and types.
            capture: Capture the step as a CUDA graph; without it each call runs the step.
        """
        self._step = step
        self._buffers = [torch.empty_like(tensor) for tensor in example]
        self._capture = capture
        self._warm_up_calls_left = WARM_UP_CALLS
        self._captured: tuple[torch.cuda.CUDAGraph, Tensor] | None = None

    @property
    def captured(self) -> bool:
        """Whether calls replay a graph."""
        return self._captured is not None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Take the step on inputs; nothing waits for the device."""
        for buffer, tensor in zip(self._buffers, inputs, strict=True):
            buffer.copy_(tensor, non_blocking=True)
        if self._capture and self._warm_up_calls_left > 0:
            self._warm_up_calls_left -= 1
            return self._warmed_up()
        if self._capture and self._captured is None:
            self._try_to_capture()
        if self._captured is None:
            return self._step(*self._buffers)
        graph, result = self._captured
        graph.replay()
        return result.clone()

    def _warmed_up(self) -> Tensor:
        """The step on a side stream, as a capture is."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side), warnings.catch_warnings():
            # Optimisers made for capture warn of every other use.
            warnings.filterwarnings("ignore", message=".*capturable=True")
            result = self._step(*self._buffers)
        current.wait_stream(side)
        return result.clone()

    def _try_to_capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            # Thread-local: threads that load data may allocate pinned memory meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                result = self._step(*self._buffers)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            log.warning("a step runs without a CUDA graph, which is slower: %s", reason)
            self._capture = False
        else:
            self._captured = graph, result


class GraphedSteps(Steps):
    """Steps whose `meta` and `descend` are captured as CUDA graphs; the same numbers as Steps."""

    def __init__(self, configuration: TrainingConfiguration, *, device: torch.device | str) -> None:
        on_gpu = torch.device(device).type == "cuda"
        super().__init__(configuration, device=device, capturable=on_gpu)
        self._capture = on_gpu
        self._static: dict[Hashable, StaticStep] = {}
        for optimizer in self.optimizers.values():
            # Loading a checkpoint puts the optimiser's state elsewhere in memory.
            optimizer.register_load_state_dict_post_hook(lambda _: self._static.clear())

    @property
    def captured(self) -> bool:
        """Whether every kind of step that was taken replays a graph."""
        return all(static.captured for static in self._static.values())

    def meta(self, inner: Batch, outer: Batch, factors: LossFactors, *, move: bool) -> Tensor:
        """Do as Steps does."""

        def step(sources: Tensor, targets: Tensor, sources_2: Tensor, targets_2: Tensor, c: Tensor) -> Tensor:
            both = Batch(sources, targets), Batch(sources_2, targets_2)
            return super(GraphedSteps, self).meta(*both, factors._replace(gradient=c), move=move)

        return self._call(("meta", move), step, factors, (*inner, *outer))

    def descend(self, batch: Batch, factors: LossFactors, *, reconstruct: bool = True) -> Tensor:
        """Do as Steps does."""

        def step(sources: Tensor, targets: Tensor, c: Tensor) -> Tensor:
            scaled = factors._replace(gradient=c)
            return super(GraphedSteps, self).descend(Batch(sources, targets), scaled, reconstruct=reconstruct)

        return self._call(("descend", reconstruct), step, factors, batch)

    def _call(
        self, kind: Hashable, step: Callable[..., Tensor], factors: LossFactors, tensors: Sequence[Tensor]
    ) -> Tensor:
        # The gradient factor changes from epoch to epoch, so it is an input; the others are constants of the
        # graph, and so are the shapes.
        gradient = torch.as_tensor(factors.gradient, dtype=tensors[0].dtype)
        key = (kind, factors._replace(gradient=0.0), tuple(tensor.shape for tensor in tensors))
        if key not in self._static:
            example = (*tensors, gradient.to(self.device))
            self._static[key] = StaticStep(step, example, capture=self._capture)
        return self._static[key](*tensors, gradient)
