"""From what a user names to sets and methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refusion.benchmarks.quality.classical import Baseline
from refusion.benchmarks.quality.methods import Classical, Kind, Method, Network, Results, VisibleOnly
from refusion.benchmarks.quality.run import Skipped
from refusion.benchmarks.quality.sets import DataSet, EvaluationSet
from refusion.errors import InputError, UsageError
from refusion.models import Model
from refusion.ranges import RangePolicy
from refusion.tasks import Task

VISIBLE = "visible"
OWN_METHODS = (*Model.__members__, *Baseline.__members__, VISIBLE)
"""What can be measured without any file of the user's."""


def named_sets(
    names: Sequence[str], root: Path, limit: int | None
) -> tuple[tuple[EvaluationSet, ...], tuple[Skipped, ...]]:
    """Find data sets below a root folder; without names, all whose folders are there.

    Returns:
        The sets, and what was left out.

    Raises:
        UsageError: There is no data set of a name.
        InputError: One that was named is not there, none is, or one is incomplete.
    """
    if names:
        return tuple(data.below(root, limit) for data in dict.fromkeys(map(DataSet.parse, names))), ()
    present = [data for data in DataSet if (root / data.value.folder).is_dir()]
    if not present:
        known = ", ".join(data.value.folder for data in DataSet)
        raise InputError(f"{root} holds none of the data sets that have names ({known})")
    skipped = [
        Skipped(data.value.title, f"there is no folder {data.value.folder} below the root folder")
        for data in DataSet
        if data not in present
    ]
    return tuple(data.below(root, limit) for data in present), tuple(skipped)


def own_method(name: str, *, backend: str = "auto", threads: int = 0) -> Method:
    """Return a network with shipped weights, a classical method, or the visible picture alone.

    Raises:
        UsageError: There is no method of that name.
    """
    if name in Model.__members__:
        return Network(name, Kind.model, Model[name], backend=backend, threads=threads)
    if name in Baseline.__members__:
        return Classical(Baseline[name])
    if name == VISIBLE:
        return VisibleOnly()
    raise UsageError(f"there is no method '{name}'; choose one of {', '.join(OWN_METHODS)}")


def official_method(path: Path, sets: Sequence[EvaluationSet], *, backend: str, threads: int) -> Method:
    """Return the official network: its weights, and each picture stretched by itself, of clips too.

    Args:
        path: One `.pth` file, of the one task of the sets, or a folder with a file a task.
        sets: What it is to be measured on.
        backend: What runs it.
        threads: CPU threads.

    Raises:
        InputError: There is no such file, or none in the folder.
        UsageError: A file, but sets of several tasks.
    """
    if path.is_dir():
        names = {task: path / f"ReFusion_{task.name.upper()}.pth" for task in Task}
        files = {task: file for task, file in names.items() if file.is_file()}
        if not files:
            known = ", ".join(file.name for file in names.values())
            raise InputError(f"{path} holds none of the official files {known}")
    else:
        files = {_only_task(path, sets): path}
    return Network(
        "official",
        Kind.official,
        Model.full,
        weights=files,
        backend=backend,
        threads=threads,
        clip_range=RangePolicy.image,
    )


def own_weights(text: str, sets: Sequence[EvaluationSet], *, backend: str, threads: int) -> Method:
    """Return a network with the weights of NAME=FILE.

    Raises:
        InputError: There is no such file.
        UsageError: It is no NAME=FILE, or the sets are of several tasks.
    """
    name, path = _named_path(text, "--weights", "FILE")
    weights = {_only_task(path, sets): path}
    return Network(name, Kind.model, weights=weights, backend=backend, threads=threads)


def others_results(text: str, sets: Sequence[EvaluationSet]) -> Method:
    """Return the results of NAME=FOLDER as a method.

    Raises:
        InputError: There is no such folder.
        UsageError: It is no NAME=FOLDER.
    """
    name, folder = _named_path(text, "--results", "FOLDER")
    if not folder.is_dir():
        raise InputError(f"there is no folder of results {folder}")
    return Results(name, folder, only_set=len(sets) == 1)


def in_order(methods: Sequence[Method]) -> tuple[Method, ...]:
    """Return methods as tables list them, kind by kind.

    Raises:
        UsageError: Two methods have one name: tables could not tell them apart.
    """
    names = [method.name for method in methods]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"two methods are called '{twice[0]}': give each its own name")
    kinds = list(Kind)
    return tuple(sorted(methods, key=lambda method: kinds.index(method.kind)))


def _named_path(text: str, option: str, what: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise UsageError(f"{option} is NAME={what}, not '{text}'")
    return name, Path(path)


def _only_task(path: Path, sets: Sequence[EvaluationSet]) -> Task:
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    tasks = {data.task for data in sets}
    if len(tasks) != 1:
        names = ", ".join(sorted(task.name for task in tasks))
        raise UsageError(
            f"{path.name} holds the weights of one task, but the sets are of {names}: choose with --set"
        )
    return tasks.pop()
