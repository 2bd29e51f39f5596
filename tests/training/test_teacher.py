"""What a teacher is read from."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion import WeightsError  # noqa: E402
from refusion.models.fusion import FusionModule  # noqa: E402
from refusion.training.teacher import Teacher  # noqa: E402


def test_weights_that_have_the_name_of_a_runs_state_have_no_proposal(tmp_path: Path) -> None:
    torch.save(FusionModule().state_dict(), tmp_path / "weights.pt")
    assert Teacher.read(tmp_path / "weights.pt").proposal is None


def test_a_state_without_its_configuration_is_refused(tmp_path: Path) -> None:
    modules = {f"fusion.{name}": value for name, value in FusionModule().state_dict().items()}
    for configuration in (None, [1]):
        state = {"modules": {**modules, 7: 1, "proposal.x": torch.ones(1)}, "configuration": configuration}
        torch.save(state, tmp_path / "state.pt")
        with pytest.raises(WeightsError, match=r"state.pt is no state of a training run: it holds no config"):
            Teacher.read(tmp_path / "state.pt")
