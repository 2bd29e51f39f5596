"""A whole archive: what is done already is left alone, what failed is reported, and done by the next run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from refusion.batch.folder import Folder, reason_of, split_url
from refusion.batch.job import RESULT_SUFFIX, Job, Outcome
from refusion.batch.pairs import PairFiles
from refusion.errors import InputError, OutputError, UsageError
from refusion.placement import CHECKPOINT_KEY
from refusion.weights import sha256
from refusion.weights_file import stated

RECORD, FAILURES = "refusion-batch.json", "refusion-failures.csv"
FORMAT = "refusion-batch-1"

Runner = Callable[[Sequence[PairFiles]], Iterator[Outcome]]


@dataclass(frozen=True)
class Report:
    """What a run did."""

    fused: int
    before: int
    """Results that were there already."""
    failures: tuple[Outcome, ...]


def run(
    pairs: Sequence[PairFiles],
    job: Job,
    runner: Runner,
    *,
    force: bool = False,
    started: Callable[[int], None] = lambda count: None,
    done: Callable[[Outcome], None] = lambda outcome: None,
) -> Report:
    """Fuse the pairs whose results are not there yet.

    A result is there when its file is: files are written whole. So a run that was killed is gone on with by
    the same call, whatever runner either has.

    Args:
        pairs: All pairs of the archive.
        job: How they are fused.
        runner: Fuses pairs, for instance `run_locally` with its workers.
        force: Remove results that are there, and fuse all anew.
        started: Takes the number of pairs that are to be fused.
        done: Takes each outcome as it comes.

    Raises:
        UsageError: A result would take the place of a source.
        OutputError: The folder holds results of other settings, or cannot be written to.
        RefusionError: As Fuser, or the runner.
    """
    output = Folder(job.output)
    _refuse_source_folders(job, output)
    there = set(output.names())
    names = {pair.name + RESULT_SUFFIX for pair in pairs} & there
    if force and not job.folders:
        _refuse_listed_sources((pair for pair in pairs if pair.name + RESULT_SUFFIX in names), output)
    _check_record(output, there, _record(job), force)
    if force:
        for name in names:
            output.remove(name)
        names = set()
    left = [pair for pair in pairs if pair.name + RESULT_SUFFIX not in names]
    started(len(left))
    failures: list[Outcome] = []
    for outcome in runner(left) if left else ():
        if outcome.error:
            failures.append(outcome)
        done(outcome)
    _write_failures(output, failures)
    return Report(len(left) - len(failures), len(names), tuple(failures))


def _refuse_source_folders(job: Job, output: Folder) -> None:
    for folder in map(Folder, job.folders or ()):
        if folder.place_of() == output.place_of():
            raise UsageError(f"{output.url} is a source; write the results elsewhere")


def _refuse_listed_sources(pairs: Iterable[PairFiles], output: Folder) -> None:
    for pair in pairs:
        result = pair.name + RESULT_SUFFIX
        for folder, file in map(split_url, (pair.a, pair.b)):
            if folder.place_of(file) == output.place_of(result):
                raise UsageError(f"{folder.url_of(file)} is a source; write the results elsewhere")


def _record(job: Job) -> dict[str, Any]:
    """Return what results depend on, as far as they may not be mixed in one folder."""
    with job.open() as fuser:
        weights = fuser.weights
    return {
        "format": FORMAT,
        "task": job.task,
        # One network in two kinds of file is one network.
        "checkpoint_sha256": stated(weights).get(CHECKPOINT_KEY) or sha256(weights),
        "range": job.output_range,
    }


def _check_record(output: Folder, there: set[str], record: dict[str, Any], force: bool) -> None:
    """Note the settings in the folder of results; refuse one that has others'."""
    if RECORD in there and not force:
        try:
            found = json.loads(output.read(RECORD))
        except (ValueError, RecursionError, InputError) as error:
            raise OutputError(f"{output.url_of(RECORD)} cannot be read: {error}") from None
        if found != record:
            known = found if isinstance(found, dict) else {}
            differing = [key for key in record if known.get(key) != record[key]]
            raise OutputError(
                f"{output.url} holds results of other settings ({', '.join(differing)}); choose "
                "another folder, or give --force to fuse all anew"
            )
        return
    if there and not force:
        raise OutputError(
            f"{output.url} holds files that are not of a batch, {min(there)} first; choose another folder, "
            "or give --force to replace results of the same names"
        )
    try:
        output.write(RECORD, json.dumps(record, indent=1).encode() + b"\n")
    except Exception as error:  # each kind of store has errors of its own
        raise OutputError(f"{output.url_of(RECORD)} cannot be written: {reason_of(error)}") from None


def _write_failures(output: Folder, failures: Sequence[Outcome]) -> None:
    """Write the report of failures, or remove that of the run before."""
    if not failures:
        output.remove(FAILURES)
        return
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(("name", "a", "b", "tries", "error"))
    rows.writerows((*failure.pair, failure.tries, failure.error) for failure in failures)
    try:
        output.write(FAILURES, text.getvalue().encode(errors="backslashreplace"))
    except Exception as error:  # as above
        first = failures[0]
        raise OutputError(
            f"{output.url_of(FAILURES)} cannot be written: {reason_of(error)}; it would list "
            f"{len(failures)} pairs that failed, {first.pair.name} first: {first.error}"
        ) from None
