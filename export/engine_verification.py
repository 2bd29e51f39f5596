"""The gate of a finished engine: run on its GPU, it must equal the original as the ONNX had to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.export.precision import Precision
from refusion.export.verification import Case, Run, Track, cases_for, untracked, verify


def engine_verifier(
    reference: Run, profile: ShapeProfile, precision: Precision, *, track: Track = untracked
) -> Callable[[Path], dict[str, Any]]:
    """Return a function that runs a plan on the cases its profile takes, and returns its accuracy.

    Args:
        reference: Runs the original, in float32.
        profile: The shapes that the engine takes.
        precision: What is demanded of the result; the function raises ExportError if it is not reached.
        track: Wraps the verified inputs, to show progress.
    """

    def verify_plan(plan: Path) -> dict[str, Any]:
        from refusion.backends.tensorrt.backend import TensorRTBackend
        from refusion.backends.tensorrt.loading import load_engine

        # Trusted: it was built a moment ago. It may be unsigned where there is no place for a key.
        backend = TensorRTBackend(load_engine(plan, trust=True, rebuild=False))
        try:
            accuracy = verify(
                reference, backend.run, track(cases_within(profile, precision)), limits=precision.value
            )
        finally:
            backend.close()
        return dataclasses.asdict(accuracy)

    return verify_plan


def cases_within(profile: ShapeProfile, precision: Precision) -> list[Case]:
    """Return the cases of the best shape, and those of a dynamic model that the profile takes."""
    cases = list(cases_for(precision, profile.optimum, None))
    if not profile.is_fixed:
        dynamic = cases_for(precision, None, None)
        cases += [case for case in dynamic if case.shape and profile.contains(*case.shape)]
    return cases
