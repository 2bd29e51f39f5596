"""What a training run is made of: one frozen record, overridable as `key=value`."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from refusion.errors import UsageError
from refusion.metrics.fidelity import MIN_SIDE_PX


class Rule(NamedTuple):
    """Which values of a setting a run can start with."""

    accepts: Callable[[float], bool]
    text: str


Count = Annotated[int, Rule(lambda value: value >= 1, "1 or more")]
CountOrNone = Annotated[int, Rule(lambda value: value >= 0, "0 or more")]
Positive = Annotated[float, Rule(lambda value: value > 0, "above 0")]
NotNegative = Annotated[float, Rule(lambda value: value >= 0, "0 or more")]
Share = Annotated[float, Rule(lambda value: 0 <= value <= 1, "between 0 and 1")]

SHORT_EPOCH_STEPS = 100
"""Fusion steps that an epoch of a shortened schedule has at least, where the run has as many."""

MACHINE_KEYS = (
    "device",
    "compile",
    "workers",
    "cache",
    "threads",
    "checkpoint_minutes",
    "stop_after_minutes",
    "image_panels_every",
)
"""Settings of the machine and of what is written: a resumed run may change them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfiguration:
    """Settings of one run. An epoch is a meta phase followed by a fusion and reconstruction phase.

    The defaults suit tests and small experiments; `refusion train` starts from the schedule of the task in
    `refusion.training.configurations`.
    """

    epochs: Count = 60
    meta_steps: CountOrNone = 24
    """Meta steps an epoch; P moves once for every `meta_accumulation` of them."""
    fusion_steps: Count = 90
    """Fusion + reconstruction steps an epoch."""
    steps: CountOrNone = 0
    """Fusion steps after which the run ends, its schedule shortened to fit (see `fitted`); 0: all epochs."""
    batch: Count = 4
    """Pairs a mini-batch over all processes, before it is doubled with swapped sources."""
    patch_px: Annotated[int, Rule(lambda value: value >= 16, "16 or more")] = 64
    photometric: NotNegative = 0.0
    """Strength of random gamma, contrast and brightness of each source; 0 as in the paper, 1 is strong."""
    zoom_out: Share = 0.0
    """Share of mini-batches drawn at twice the side and halved: finer detail; 0 as in the paper."""
    synthetic: Share = 0.0
    """Share of synthetic pairs in a mini-batch (mfif and meif)."""
    synthetic_images: str = ""
    """Folder of images that synthetic pairs are made from; empty: from the real pairs."""

    learning_rate: Positive = 1e-3
    """Adam step of F and R at the start; it falls as a half cosine to `final_learning_rate`."""
    final_learning_rate: Positive = 2e-5
    inner_learning_rate: Positive = 1e-3
    """Plain SGD step of the inner update."""
    proposal_optimizer: Literal["adam", "normalised"] = "adam"
    """How P steps: Adam, or along the gradient divided by its largest magnitude (IJCV 2024, section 3.5)."""
    proposal_step: Positive = 1e-3
    """Step of P."""
    meta_accumulation: Count = 2
    meta_epochs: CountOrNone = 0
    """Epochs with a meta phase, from the first; P is frozen after them. 0: all, as in the paper."""
    reconstruction_every: Count = 1
    """R takes its Adam step on every n-th fusion step: 1 as in the paper; F does not depend on it."""
    gradient_clip: NotNegative = 0.0
    """Largest gradient norm of a step of F or R; 0: not clipped, as in the paper."""
    loss: Literal["learned", "equal", "maximum"] = "learned"
    """What weighs the sources in the fusion loss: learned (by P), or the fixed equal or maximum."""
    balanced_weights: bool = False
    """Whether P may only say where each source counts, not prefer one everywhere; the paper lets it."""
    structure_factor: NotNegative = 0.0
    """Factor of the SSIM term of the fusion loss (refusion.training.perceptual); 0 as in the paper."""
    edge_factor: NotNegative = 0.0
    """Factor of the Qabf term, likewise."""
    information_factor: NotNegative = 0.0
    """Factor of the VIF term, likewise."""
    difference_factor: NotNegative = 0.0
    """Factor of the SCD term, likewise."""

    model: Literal["full", "lite"] = "full"
    """The network that is trained. The lite one learns from a teacher, and has no meta phase."""
    lessons: Count = 90
    """Pairs that the teacher fuses anew for each epoch; of the lite network alone, as the next one."""
    distillation_factor: NotNegative = 0.0
    """Factor of the distance to the teacher's pictures, beside the fusion loss."""

    validation_pairs: CountOrNone = 16
    """Pairs held out of training, chosen by the seed; 0: no validation."""
    validation_every: Count = 1
    """Epochs between two validations; the last epoch always ends with one."""
    validation_px: Annotated[int, Rule(lambda value: value >= 41, "41 or more")] = 512
    """Longest side of a validation image: of a larger one the centre is taken."""
    image_panels_every: CountOrNone = 5
    """Epochs between two image panels in TensorBoard; 0: none."""
    checkpoint_minutes: Positive = 10.0
    """Minutes between two checkpoints within an epoch; each epoch ends with one."""
    stop_after_minutes: NotNegative = 0.0
    """Minutes after which training stops with a checkpoint, to be resumed; 0: it goes on to the end."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the activations; parameters, losses and optimisers stay float32."""
    compile: bool = False
    """Whether the steps are compiled by torch.compile."""
    workers: CountOrNone = 0
    """Processes that prepare mini-batches; 0: the training process itself."""
    cache: str = "auto"
    """Folder where decoded images are kept for later runs; auto: this user's cache; off: none."""
    threads: CountOrNone = 0
    """PyTorch threads a process; 0 keeps PyTorch's choice."""
    seed: CountOrNone = 0

    def __post_init__(self) -> None:
        """Check what no single value can show.

        Raises:
            UsageError: Patches too small for the VIF term, or workers that would have no work.
        """
        if self.information_factor > 0 and self.patch_px < MIN_SIDE_PX:
            raise UsageError(
                f"the VIF term needs patches of {MIN_SIDE_PX} pixels or more: raise patch_px={self.patch_px} "
                "or set information_factor=0"
            )
        if self.model == "lite" and self.workers > 0:
            raise UsageError(
                "lessons of the lite network are made in the training process: set workers=0, not "
                f"{self.workers}"
            )

    @classmethod
    def of_record(cls, record: Mapping[str, object]) -> TrainingConfiguration:
        """Return the settings that a run has written down, `dataclasses.asdict` as JSON.

        Raises:
            UsageError: An unknown key, or a value that is not of the key's type.
        """
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in record.items()}
        values: dict[str, Any] = {key: parsed(key, text) for key, text in texts.items()}
        return cls(**values)

    def override(self, assignments: Iterable[str]) -> TrainingConfiguration:
        """Return a copy with `key=value` assignments applied.

        Raises:
            UsageError: An unknown key, or a value that is not of the key's type.
        """
        values: dict[str, Any] = {}
        for assignment in assignments:
            key, separator, text = assignment.partition("=")
            if not separator or key not in _HINTS:
                raise UsageError(
                    f"'{assignment}' is no setting: write key=value, with a key of {', '.join(_HINTS)}"
                )
            values[key] = parsed(key, text)
        return dataclasses.replace(self, **values)

    def fitted(self) -> TrainingConfiguration:
        """Return the schedule shortened to `steps`, with as many meta steps a fusion step as before.

        It keeps its shape where it can: all epochs, each shorter, as long as they have 100 steps; then fewer
        epochs. With `steps=20`, 600 meta and 1200 fusion steps an epoch become one epoch of 10 and 20.
        Fitting again changes nothing.
        """
        if not 0 < self.steps < self.epochs * self.fusion_steps:
            return self
        fewest = math.ceil(self.steps / self.fusion_steps)
        epochs = max(fewest, min(self.epochs, self.steps // SHORT_EPOCH_STEPS))
        fusion_steps = math.ceil(self.steps / epochs)
        epochs = math.ceil(self.steps / fusion_steps)
        return dataclasses.replace(
            self,
            epochs=epochs,
            fusion_steps=fusion_steps,
            meta_steps=math.ceil(self.meta_steps * fusion_steps / self.fusion_steps),
            meta_epochs=math.ceil(self.meta_epochs * epochs / self.epochs),
        )


_HINTS: dict[str, Any] = get_type_hints(TrainingConfiguration, include_extras=True)


def parsed(key: str, text: str) -> bool | int | float | str:
    """Return the value of a setting from its text, strictly: 3.5 and 3e2 are no int, yes is no bool.

    Raises:
        UsageError: There is no such setting, the text is not of its type, or no run can start with the value.
    """
    hint = _HINTS.get(key)
    if hint is None:
        raise UsageError(f"there is no setting {key}; the settings are {', '.join(_HINTS)}")
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            *others, last = get_args(hint)
            raise UsageError(f"{key} must be {', '.join(others)} or {last}, not '{text}'")
        return text
    kind, rule = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    value = _PARSERS[kind](text.strip())
    if value is None:
        accepted = " (true or false)" if kind is bool else ""
        raise UsageError(f"{key} takes a value of type {kind.__name__}{accepted}, not '{text}'")
    if rule is not None and not rule.accepts(value):
        raise UsageError(f"{key} must be {rule.text}, not {value}")
    return value


def _parsed_int(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None


def _parsed_float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


_PARSERS: dict[type, Callable[[str], Any]] = {
    bool: {"true": True, "false": False}.get,
    int: _parsed_int,
    float: _parsed_float,
    str: str,
}
