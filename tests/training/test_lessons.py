"""The teacher, its lessons, and the steps that the lite network takes on them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from refusion import InputError, Task, UsageError, WeightsError
from refusion.models.checkpoints import save_network
from refusion.models.fusion import FusionModule
from refusion.models.lite import LiteModule
from refusion.models.proposal import LossProposal
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import PairSet
from refusion.training.lessons import LESSON_STREAM, Lessons, lesson_batch
from refusion.training.lite_steps import LiteSteps
from refusion.training.losses import LossFactors, distillation_loss
from refusion.training.teacher import Teacher, load_proposal, save_proposal

PATCH_PX = 24


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher(FusionModule().eval(), LossProposal(balanced=True).eval())


def lessons_of(pairs: PairSet, teacher: Teacher, *, loss: str = "learned") -> Lessons:
    return Lessons(pairs, teacher, loss=loss, count=5, steps=3)


def test_lessons_hold_what_the_teacher_makes_of_their_sources(pairs: PairSet, teacher: Teacher) -> None:
    drawn = lessons_of(pairs, teacher).draw(2, PATCH_PX, (7, 3, 0))
    assert drawn.shape == (2, 5, PATCH_PX, PATCH_PX)
    # The network is not equivariant to turns: undone, the lesson is one of the teacher's.
    sources = pairs.draw(1, PATCH_PX, (7, LESSON_STREAM, 0))
    with torch.no_grad():
        fused, weights = teacher.fusion(sources), teacher.proposal(sources)  # type: ignore[misc]
    expected = torch.cat((sources, fused, weights.intensity[:, :1], weights.gradient[:, :1]), dim=1)[0]
    forms = [
        turned for k in range(4) for turned in (expected.rot90(k, (1, 2)), expected.rot90(k, (1, 2)).flip(2))
    ]
    drawn = lessons_of(pairs, teacher).draw(40, PATCH_PX, (7, 3, 0))
    assert any((lesson - form).abs().max() < 1e-4 for lesson in drawn for form in forms)


def test_lessons_follow_from_the_seed_and_change_with_the_epoch(pairs: PairSet, teacher: Teacher) -> None:
    lessons = lessons_of(pairs, teacher)
    first, same_epoch, next_epoch = (lessons.draw(20, PATCH_PX, (7, 3, step)) for step in (0, 2, 3))

    def means(drawn: Tensor) -> set[float]:
        return {round(float(value), 4) for value in drawn[:, 2].mean((1, 2))}

    assert means(first) & means(same_epoch)
    assert not means(first) & means(next_epoch)
    assert torch.equal(lessons_of(pairs, teacher).draw(20, PATCH_PX, (7, 3, 3)), next_epoch)


def test_a_mini_batch_keeps_the_order_of_the_sources() -> None:
    lessons = torch.rand(2, 5, 4, 4)
    batch = lesson_batch(lessons)
    assert torch.equal(batch.sources, lessons[:, :2])
    assert torch.equal(batch.targets, lessons[:, 2:])


def test_lite_steps_approach_the_teacher(pairs: PairSet, teacher: Teacher) -> None:
    settings = ["model=lite", "distillation_factor=10", "learning_rate=0.003"]
    steps = LiteSteps(TrainingConfiguration().override(settings))
    assert set(steps.modules) == {"fusion"}
    batch = steps.batch(lessons_of(pairs, teacher).draw(2, PATCH_PX, (7, 3, 0)))
    losses = [steps.descend(batch, LossFactors(gradient=0.5)) for _ in range(30)]
    assert losses[-1][1] < 0.7 * losses[0][1]


def test_the_distillation_loss_counts_differences_of_neighbours_contrast_and_detail() -> None:
    taught = torch.zeros(1, 1, 4, 4)
    taught[..., ::2] = 0.2
    assert distillation_loss(taught, taught).item() == 0
    assert distillation_loss(taught + 0.1, taught).item() == pytest.approx(0.1, rel=1e-4)
    # A quarter of the contrast and the detail: two logarithms, of which the mean counts.
    quarter = taught / 4
    expected = 0.75 * 0.1 + 2 * 0.75 * 0.2 + 1.0 * math.log(4)
    assert distillation_loss(quarter, taught).item() == pytest.approx(expected, rel=5e-2)
    assert (
        torch.autograd.functional.jacobian(
            lambda fused: distillation_loss(fused, taught), torch.full_like(taught, 0.3)
        )
        .isfinite()
        .all()
    )


def test_a_teacher_is_read_from_a_run_or_from_weights(teacher: Teacher, tmp_path: Path) -> None:
    torch.save(teacher.state(), tmp_path / "state.pt")
    read = Teacher.read(tmp_path / "state.pt")
    assert read.proposal is not None
    assert read.proposal.balanced
    sources = torch.rand(1, 2, 12, 12)
    torch.testing.assert_close(read.fusion(sources), teacher.fusion(sources), rtol=0, atol=0)
    learned, expected = (one.weighting("learned")(sources) for one in (read, teacher))
    torch.testing.assert_close(learned, expected, rtol=0, atol=0)
    save_network(teacher.fusion, tmp_path / "x.safetensors", task="ivif")
    fixed = Teacher.read(tmp_path / "x.safetensors")
    assert fixed.weighting("equal")(sources).gradient.eq(0.5).all()
    with pytest.raises(UsageError, match="holds no loss proposal module: take state.pt or best.pt"):
        fixed.weighting("learned")


def test_the_lite_network_teaches_nothing(tmp_path: Path) -> None:
    save_network(LiteModule(), tmp_path / "lite.safetensors", task="ivif")
    with pytest.raises(WeightsError, match="holds another network than the full fusion module"):
        Teacher.read(tmp_path / "lite.safetensors")


@pytest.mark.parametrize("task", Task)
def test_the_shipped_weights_teach(task: Task) -> None:
    weights = Teacher.shipped(task).weighting("learned")(torch.rand(1, 2, 32, 32))
    assert weights.intensity.shape == (1, 2, 32, 32)
    assert weights.intensity.std() > 0


@pytest.mark.parametrize("balanced", [False, True])
def test_loss_proposal_modules_come_back(tmp_path: Path, balanced: bool) -> None:
    proposal = LossProposal(balanced=balanced)
    save_proposal(proposal, tmp_path / "p.safetensors", task="ivif")
    loaded = load_proposal(tmp_path / "p.safetensors")
    assert loaded.balanced is balanced
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in proposal.state_dict().items())


def test_other_files_are_no_loss_proposal_module(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no loss proposal module"):
        load_proposal(tmp_path / "none.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(WeightsError, match="is not a readable safetensors file"):
        load_proposal(tmp_path / "junk.safetensors")
    save_network(LiteModule(), tmp_path / "lite.safetensors", task="ivif")
    with pytest.raises(WeightsError, match="holds another loss proposal module"):
        load_proposal(tmp_path / "lite.safetensors")
