"""Archives in processes of this machine: resumed, reported, and the same whatever the number of workers."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dying_job import DyingJob

from refusion import Fuser, OutputError, UsageError
from refusion.batch import job as job_module
from refusion.batch.folder import Folder
from refusion.batch.job import Job, Outcome, PairWorker
from refusion.batch.local import run_locally
from refusion.batch.pairs import PairFiles, pairs_of_folders
from refusion.batch.run import FAILURES, RECORD, run
from refusion.files import read_image

NAMES = ["0", "1", "2", "3", "day/4", "day/5"]


def pairs_of(job: Job) -> tuple[PairFiles, ...]:
    assert job.folders is not None
    return pairs_of_folders(*map(Folder, job.folders)).pairs


def in_this_process(job: Job) -> object:
    def runner(pairs: Sequence[PairFiles]) -> Iterator[Outcome]:
        worker = PairWorker(job)
        yield from map(worker, pairs)
        worker.close()

    return runner


def results(job: Job) -> dict[str, bytes]:
    folder = Folder(job.output)
    return {name: folder.read(name) for name in folder.names() if name.endswith(".png")}


def test_processes_write_what_one_fuser_does(job: Job) -> None:
    outcomes = list(run_locally(pairs_of(job), job, workers=2))
    assert sorted(outcome.pair.name for outcome in outcomes) == NAMES
    assert all(not outcome.error and outcome.tries == 1 for outcome in outcomes)
    assert sorted(results(job)) == [f"{name}.png" for name in NAMES]
    assert job.folders is not None
    with Fuser(model="lite", device="cpu") as fuser:
        sources = (read_image(Path(folder) / "day" / "4.png") for folder in job.folders)
        np.testing.assert_array_equal(read_image(Path(job.output) / "day" / "4.png"), fuser(*sources))
    one = replace(job, output=f"{job.output}-one")
    list(run_locally(pairs_of(one), one, workers=1))
    assert results(one) == results(job)


def test_a_second_run_does_what_is_missing_alone(job: Job) -> None:
    first = run(pairs_of(job), job, in_this_process(job))  # type: ignore[arg-type]
    assert (first.fused, first.before, first.failures) == (6, 0, ())
    before = results(job)
    (Path(job.output) / "2.png").unlink()
    times = {name: (Path(job.output) / name).stat().st_mtime_ns for name in results(job)}
    counts: list[int] = []
    second = run(pairs_of(job), job, in_this_process(job), started=counts.append)  # type: ignore[arg-type]
    assert (second.fused, second.before, counts) == (1, 5, [1])
    assert results(job) == before
    assert all((Path(job.output) / name).stat().st_mtime_ns == time for name, time in times.items())
    third = run(pairs_of(job), job, in_this_process(job), force=True)  # type: ignore[arg-type]
    assert (third.fused, third.before) == (6, 0)
    assert results(job) == before


def test_failures_are_reported_and_done_by_the_next_run(job: Job) -> None:
    assert job.folders is not None
    broken = Path(job.folders[0]) / "1.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-20])
    seen: list[Outcome] = []
    report = run(pairs_of(job), job, in_this_process(job), done=seen.append)  # type: ignore[arg-type]
    assert len(seen) == 6
    assert report.fused == 5
    (failure,) = report.failures
    # A damaged picture stays damaged: one try.
    assert (failure.pair.name, failure.tries) == ("1", 1)
    assert failure.error == f"{broken} is truncated: its end is missing"
    with (Path(job.output) / FAILURES).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {"name": "1", "a": "1.png", "b": "1.png", "tries": "1", "error": failure.error}
    broken.write_bytes(whole)
    report = run(pairs_of(job), job, in_this_process(job))  # type: ignore[arg-type]
    assert (report.fused, report.before, report.failures) == (1, 5, ())
    assert not (Path(job.output) / FAILURES).exists()


def test_stores_that_fail_are_tried_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "FIRST_PAUSE_S", 0.0)
    worker = PairWorker(job)
    pair = pairs_of(job)[0]
    write, failing = Folder.write, [ConnectionError("gone"), ConnectionError("still gone")]

    def failing_write(folder: Folder, name: str, data: bytes) -> None:
        if failing:
            raise failing.pop(0)
        write(folder, name, data)

    monkeypatch.setattr(Folder, "write", failing_write)
    assert worker(pair) == Outcome(pair, 2, "ConnectionError: still gone")
    failing.append(ConnectionError("gone"))
    assert worker(pair) == Outcome(pair, 2)
    assert sorted(results(job)) == ["0.png"]


def test_results_of_other_settings_are_not_mixed(job: Job) -> None:
    run(pairs_of(job)[:1], job, in_this_process(job))  # type: ignore[arg-type]
    for other, differing in (
        (replace(job, model="full"), "checkpoint_sha256"),
        (replace(job, output_range="off"), "range"),
        (replace(job, task="meif"), "task, checkpoint_sha256"),
    ):
        with pytest.raises(OutputError, match=f"holds results of other settings \\({differing}\\); choose"):
            run(pairs_of(job), other, in_this_process(other))  # type: ignore[arg-type]
    # The same network in another kind of file is the same network.
    run(pairs_of(job)[:1], replace(job, backend="onnxruntime"), in_this_process(job))  # type: ignore[arg-type]
    (Path(job.output) / RECORD).write_text("{")
    with pytest.raises(OutputError, match=r"refusion-batch.json cannot be read: "):
        run(pairs_of(job), job, in_this_process(job))  # type: ignore[arg-type]
    (Path(job.output) / RECORD).unlink()
    with pytest.raises(OutputError, match=r"holds files that are not of a batch, 0.png first"):
        run(pairs_of(job), job, in_this_process(job))  # type: ignore[arg-type]
    run(pairs_of(job), job, in_this_process(job), force=True)  # type: ignore[arg-type]
    record = json.loads((Path(job.output) / RECORD).read_text())
    assert record["task"] == "ivif"


@pytest.mark.parametrize("force", [False, True])
def test_sources_are_never_replaced(job: Job, archive: Path, force: bool) -> None:
    before = {path: path.read_bytes() for path in archive.rglob("*.png")}
    (archive / "link").symlink_to(archive / "vis")
    for output in (archive / "vis", archive / "link", archive / "ir" / ".." / "vis"):
        wrong = replace(job, output=f"file://{output}")
        with pytest.raises(UsageError, match=f"{output} is a source; write the results elsewhere"):
            run(pairs_of(wrong), wrong, in_this_process(wrong), force=force)
    listed = [PairFiles(name, f"{archive}/ir/{name}.png", f"{archive}/vis/{name}.png") for name in NAMES]
    wrong = replace(job, folders=None, output=str(archive / "link"))
    problem = (
        (UsageError, "vis/.*.png is a source") if force else (OutputError, "files that are not of a batch")
    )
    with pytest.raises(problem[0], match=problem[1]):
        run(listed, wrong, in_this_process(wrong), force=force)
    assert {path: path.read_bytes() for path in archive.rglob("*.png") if "link" not in path.parts} == before


def test_a_result_that_cannot_be_named_fails_alone(job: Job) -> None:
    pair = pairs_of(job)[0]._replace(name="x" * 300)
    (outcome,) = in_this_process(replace(job, tries=1))([pair])
    assert re.fullmatch(r"OSError: File name too long: .*/fused/x{300}\.png", outcome.error)


def test_a_place_that_cannot_be_written_to_is_named(job: Job) -> None:
    # Not even root may make files here.
    wrong = replace(job, output="/proc/self/fused")
    with pytest.raises(OutputError, match=rf"^/proc/self/fused/{RECORD} cannot be written: "):
        run(pairs_of(wrong), wrong, in_this_process(wrong))


def test_names_that_are_no_text_are_noted(job: Job, archive: Path) -> None:
    for folder in ("ir", "vis"):
        (archive / folder / "a\udcff.png").write_bytes(b"no image")
    report = run(pairs_of(job), job, in_this_process(job))
    assert [failure.pair.name for failure in report.failures] == ["a\udcff"]
    noted = (archive / "fused" / FAILURES).read_text()
    assert "\na\\udcff,a\\udcff.png,a\\udcff.png,1," in noted


def test_failures_that_cannot_be_noted_are_told(job: Job, archive: Path) -> None:
    (archive / "ir" / "2.png").write_bytes(b"no image")
    (archive / "fused" / FAILURES).mkdir(parents=True)
    would_list = "it would list 1 pairs that failed, 2 first: .*/2.png is not an image"
    with pytest.raises(OutputError, match=rf"{FAILURES} cannot be written: Is a directory: .*; {would_list}"):
        run(pairs_of(job), job, in_this_process(job))
    assert len(results(job)) == len(NAMES) - 1


def test_the_pair_that_kills_workers_is_told_from_the_others(job: Job) -> None:
    dying = DyingJob(**vars(job))
    outcomes = {one.pair.name: one for one in run_locally(pairs_of(job), dying, workers=2)}
    assert sorted(outcomes) == NAMES
    failed = [name for name, outcome in outcomes.items() if outcome.error]
    assert failed == ["2"]
    assert outcomes["2"].error == "its worker died (killed by the system, or crashed)"
    assert outcomes["2"].tries == job.tries
    assert sorted(results(job)) == [f"{name}.png" for name in NAMES if name != "2"]
