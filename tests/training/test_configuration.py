from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="pyyaml is not installed")

from refusion import InputError, Task, UsageError
from refusion.training.configuration import TrainingConfiguration
from refusion.training.configurations import load_configuration, named_file, task_file


def test_settings_are_overridden_by_key_and_value() -> None:
    changed = TrainingConfiguration().override(
        ["epochs=3", "learning_rate=1e-4", "compile=true", "device=cpu", "epochs=4"]
    )
    assert (changed.epochs, changed.learning_rate, changed.compile, changed.device) == (4, 1e-4, True, "cpu")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epoch=3", "'epoch=3' is no setting: write key=value, with a key of epochs, meta_steps"),
        ("epochs", "'epochs' is no setting"),
        ("epochs=many", "epochs takes a value of type int, not 'many'"),
        ("epochs=3.5", "epochs takes a value of type int, not '3.5'"),
        ("epochs=1e3", "epochs takes a value of type int, not '1e3'"),
        ("epochs=", "epochs takes a value of type int, not ''"),
        ("epochs=" + 5000 * "9", "epochs takes a value of type int, not '999"),
        ("learning_rate=fast", "learning_rate takes a value of type float, not 'fast'"),
        ("learning_rate=nan", "learning_rate takes a value of type float, not 'nan'"),
        ("learning_rate=0", "learning_rate must be above 0, not 0.0"),
        ("compile=1", r"compile takes a value of type bool \(true or false\), not '1'"),
        ("batch=0", "batch must be 1 or more, not 0"),
        ("meta_steps=-1", "meta_steps must be 0 or more, not -1"),
        ("patch_px=8", "patch_px must be 16 or more"),
        ("synthetic=1.1", "synthetic must be between 0 and 1, not 1.1"),
        ("precision=float16", "precision must be float32 or bfloat16, not 'float16'"),
        ("loss=best", "loss must be learned, equal or maximum, not 'best'"),
    ],
)
def test_settings_that_no_run_can_start_with(assignment: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingConfiguration().override([assignment])


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_each_task_has_a_schedule(task: Task) -> None:
    schedule = load_configuration(task_file(task))
    assert (schedule.epochs, schedule.meta_steps, schedule.patch_px, schedule.batch) == (50, 200, 128, 4)
    assert (schedule.synthetic > 0) == (task in (Task.mfif, Task.meif))


def test_a_file_gives_the_settings_it_has(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("epochs: 3  # few\nlearning_rate: 1e-4\ncompile: true\n")
    expected = TrainingConfiguration(epochs=3, learning_rate=1e-4, compile=True)
    assert load_configuration(path) == expected


def test_all_mistakes_of_a_file_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("epoch: 3\nepochs: 3.5\nseed: [1,\n  2]\ncompile: yes\nbatch: 2\nbatch: 3\nthreads:\n")
    with pytest.raises(UsageError) as caught:
        load_configuration(path)
    assert [line.strip().partition("; the settings are")[0] for line in str(caught.value).splitlines()] == [
        f"{path}, line 1: there is no setting epoch",
        f"{path}, line 2: epochs takes a value of type int, not '3.5'",
        f"{path}, line 3: seed takes a value of type int, not '[1, 2]'",
        f"{path}, line 5: compile takes a value of type bool (true or false), not 'yes'",
        f"{path}, line 7: batch is there twice",
        f"{path}, line 8: threads takes a value of type int, not ''",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs: [3", "own.yaml is no YAML: while parsing a flow sequence"),
        (b"- epochs", "own.yaml must hold settings, a line each, as in 'epochs: 50'"),
        (b"", "own.yaml must hold settings"),
        (b"- " * 3000, "own.yaml is no YAML: maximum recursion depth exceeded"),
    ],
)
def test_files_that_are_no_settings(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load_configuration(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.yaml cannot be read: No such file"):
        load_configuration(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="bytes.yaml cannot be read: 'utf-8' codec"):
        load_configuration(tmp_path / "bytes.yaml")
    (tmp_path / "deep.yaml").write_text("epochs: " + 3000 * "[")
    with pytest.raises(InputError, match="deep.yaml has brackets nested more than 32 deep"):
        load_configuration(tmp_path / "deep.yaml")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (0, (50, 600, 1200)),
        (60000, (50, 600, 1200)),
        (20, (1, 10, 20)),
        (500, (5, 50, 100)),
        (5000, (50, 50, 100)),
        (30000, (50, 300, 600)),
        (255, (2, 64, 128)),
    ],
)
def test_a_schedule_is_shortened_to_its_steps(steps: int, expected: tuple[int, int, int]) -> None:
    full = TrainingConfiguration(epochs=50, meta_steps=600, fusion_steps=1200, steps=steps)
    short = full.fitted()
    assert (short.epochs, short.meta_steps, short.fusion_steps) == expected
    assert short.fitted() == short
    if steps:
        assert short.epochs * short.fusion_steps >= steps > (short.epochs - 1) * short.fusion_steps


def test_a_schedule_is_called_by_name_or_by_its_file(tmp_path: Path) -> None:
    paper = load_configuration(named_file(Path("paper")))
    assert (paper.meta_steps, paper.proposal_optimizer, paper.structure_factor) == (600, "normalised", 0)
    own = tmp_path / "paper.yaml"
    assert named_file(own) == own
    assert named_file(Path("mine")) == Path("mine")


def test_patches_too_small_for_a_term_are_refused() -> None:
    with pytest.raises(
        UsageError, match="the VIF term needs patches of 41 pixels or more: raise patch_px=40"
    ):
        TrainingConfiguration().override(["patch_px=40", "information_factor=1"])
    assert TrainingConfiguration().override(["patch_px=41", "information_factor=1"]).patch_px == 41
