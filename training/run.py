"""Starting and resuming a run: its folder, its data, its manifest."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from refusion.errors import InputError, OutputError, UsageError
from refusion.files import make_folder
from refusion.metrics.fidelity import MIN_SIDE_PX
from refusion.models import Model
from refusion.tasks import Task
from refusion.training.batches import resident
from refusion.training.cache import default_cache_folder
from refusion.training.checkpoint import start_from, start_from_teacher, write_state
from refusion.training.configuration import MACHINE_KEYS, TrainingConfiguration
from refusion.training.configurations import load_configuration, named_file, task_file
from refusion.training.data import PairSet, PairSource, load_pairs
from refusion.training.distributed import Processes, joined_processes, were_restarted
from refusion.training.lessons import Lessons
from refusion.training.loop import STATE, Trainer
from refusion.training.reports import Observer, Record
from refusion.training.synthetic import with_synthetic
from refusion.training.teacher import Teacher
from refusion.training.tracking import LossFile, open_tensorboard
from refusion.training.validation import Validation
from refusion.training.variation import with_variation
from refusion.weights import sha256, shipped_weights

SETTINGS_FILE, TEACHER_FILE = "settings.json", "teacher.pt"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a caller asks for; None is what the run or the task has."""

    run: Path
    """Folder of the run: settings.json, losses.jsonl, state.pt, best.pt, tensorboard; if lite, teacher.pt."""
    task: Task | None = None
    """What is trained; ivif for a new run."""
    data: Sequence[Path] = ()
    """Data folders, joined."""
    config: Path | None = None
    """YAML file of settings, or the name of one that comes with the package, instead of the task's."""
    settings: Sequence[str] = ()
    """`key=value`; on resuming only those of the machine."""
    resume: bool = False
    """Whether to go on with the run instead of starting one."""
    start_from: Path | None = None
    """Weights that a new run starts from, see `refusion.training.checkpoint.start_from`."""
    model: Model | None = None
    """The network that is trained; for a new run that of the configuration file, else the full one."""
    teacher: Path | None = None
    """What the lite network of a new run learns from, see `Teacher.read`; None: the shipped weights."""


def start_or_resume(request: Request, observers: Sequence[Observer] = ()) -> Iterator[Record]:
    """Train in the run folder; yield the record of each epoch.

    Under torchrun the processes train together; the first one writes, and it alone calls the observers. What
    torchrun starts again after one of them died (--max-restarts) goes on with the run that was begun.

    Raises:
        UsageError, InputError, OutputError, WeightsError: Bad settings, bad data, or a run folder that does
            not fit.
        DivergenceError: The training went astray.
    """
    if were_restarted() and (request.run / STATE).is_file():
        # The command is that which began the run, and its settings are those of the run.
        request = Request(request.run, resume=True)
    before = recorded_settings(request.run) if request.resume else None
    plan = _resumed(request, before) if before else _new(request)
    configuration = plan.configuration
    if configuration.threads:
        torch.set_num_threads(configuration.threads)
    with joined_processes(configuration.device, configuration.batch) as processes:
        with processes.first_before_others():
            training, held_out, source = _load(plan)
        manifest = _manifest(plan, training, held_out)
        if configuration.model == "lite":
            manifest["teacher"] = _teacher_identity(request.teacher, plan.task)
        if request.start_from is not None:
            manifest["started_from"] = _identity(request.start_from)
        if before:
            _refuse_other_data(request.run, before, manifest)
            manifest = {**before, **{key: manifest[key] for key in ("configuration", "data", "data_folders")}}
        validation = _validation(held_out, configuration, processes)
        make_folder(request.run)
        # Real pairs alone may be on a GPU; they are cut there, by this process.
        placed = resident(training, processes.device) if source is training else source
        varied = with_variation(
            placed, photometric=configuration.photometric, zoom_out=configuration.zoom_out
        )
        lessons = _lessons(varied, plan, request, processes) if configuration.model == "lite" else None
        trainer = Trainer(
            configuration,
            lessons or varied,
            request.run,
            workers=configuration.workers if placed is source else 0,
            validation=validation,
            processes=processes,
        )
        if before:
            trainer.load()
        with contextlib.ExitStack() as stack:
            if processes.is_first:
                _write_manifest(request.run, manifest)
                epochs_done, position = trainer.progress.epoch, trainer.position
                tensorboard = open_tensorboard(request.run, position=position)
                own: list[Observer] = [LossFile(request.run, epochs_done=epochs_done)]
                own += [tensorboard] if tensorboard else []
                for observer in own:
                    stack.callback(observer.close)
                trainer.observers = (*own, *observers)
            if not before:
                if request.start_from is not None:
                    start_from(request.start_from, trainer.steps)
                elif lessons:
                    start_from_teacher(lessons.fusion, trainer.steps)
                trainer.save()
            yield from trainer.train()


def _lessons(pairs: PairSource, plan: _Plan, request: Request, processes: Processes) -> Lessons:
    """Return the lessons of a lite run; its teacher is kept in the run's folder, to resume with."""
    kept, settings = request.run / TEACHER_FILE, plan.configuration
    if request.resume:
        teacher = Teacher.read(kept)
    else:
        teacher = Teacher.read(request.teacher) if request.teacher else Teacher.shipped(plan.task)
        if processes.is_first:
            write_state(kept, teacher.state())
    return Lessons(
        pairs,
        teacher.to(processes.device),
        loss=settings.loss,
        count=settings.lessons,
        steps=settings.fusion_steps,
        device=processes.device,
    )


@dataclasses.dataclass(frozen=True)
class _Plan:
    task: Task
    data: tuple[Path, ...]
    configuration: TrainingConfiguration


def _new(request: Request) -> _Plan:
    if (request.run / STATE).exists():
        raise OutputError(
            f"{request.run} holds a run already; give --resume to go on with it, or another folder"
        )
    if not request.data:
        raise UsageError("a new run needs data: give --data DIR")
    task = request.task or Task.ivif
    model = request.model
    configuration = load_configuration(
        named_file(request.config) if request.config else task_file(task, model or Model.full)
    ).override([*([f"model={model.name}"] if model else []), *request.settings])
    if request.teacher is not None and configuration.model != "lite":
        raise UsageError("only the lite network has a teacher: give --model lite, or leave out --teacher")
    return _Plan(task, tuple(request.data), configuration.fitted())


def recorded_settings(run: Path) -> dict[str, Any]:
    """Return what a run wrote down when it started: its task, data folders and configuration.

    Raises:
        InputError: There is no run in the folder, or its settings are damaged.
    """
    if not (run / STATE).is_file():
        raise InputError(f"there is no run to resume in {run}")
    path = run / SETTINGS_FILE
    try:
        content = json.loads(path.read_text())
        folders, configuration = content["data_folders"], content["configuration"]
        if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
            raise ValueError("data_folders is no list of names")
        if not isinstance(configuration, dict):
            raise ValueError("configuration holds no settings")
        return {**content, "task": Task.parse(content["task"]).name}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
        raise InputError(f"{path} is missing or damaged: {error}") from None


def _resumed(request: Request, before: Mapping[str, Any]) -> _Plan:
    if request.start_from is not None:
        raise UsageError("--resume has the weights of the run; leave out --start-from")
    if request.teacher is not None:
        raise UsageError("--resume has the teacher of the run; leave out --teacher")
    fixed = [text for text in request.settings if text.partition("=")[0] not in MACHINE_KEYS]
    if request.config is not None:
        fixed.insert(0, f"--config {request.config}")
    if request.model is not None:
        fixed.insert(0, f"--model {request.model.name}")
    if fixed:
        raise UsageError(
            f"--resume keeps the settings of the run; leave out {' '.join(fixed)} "
            f"(what may change: {', '.join(MACHINE_KEYS)})"
        )
    task = Task.parse(before["task"])
    if request.task not in (None, task):
        raise UsageError(f"{request.run} trains {task.name}; leave out --task {request.task.name}")
    try:
        configuration = TrainingConfiguration.of_record(before["configuration"])
    except (KeyError, AttributeError, UsageError) as error:
        raise InputError(f"{request.run / SETTINGS_FILE} is missing or damaged: {error}") from None
    data = tuple(request.data) or tuple(map(Path, before["data_folders"]))
    return _Plan(task, data, configuration.override(request.settings))


def _load(plan: _Plan) -> tuple[PairSet, PairSet, PairSource]:
    """Return the pairs for training, those held out, and what mini-batches are drawn from."""
    settings = plan.configuration
    cache = {"auto": default_cache_folder(), "off": None}.get(settings.cache, Path(settings.cache))
    drawn_px = settings.patch_px * (2 if settings.zoom_out else 1)
    pairs = load_pairs(plan.data, plan.task, drawn_px, cache=cache)
    training, held_out = pairs.split(settings.validation_pairs, settings.seed)
    images = Path(settings.synthetic_images) if settings.synthetic_images else None
    source = with_synthetic(training, plan.task, settings.synthetic, images, settings.patch_px, cache=cache)
    return training, held_out, source


def _manifest(plan: _Plan, training: PairSet, held_out: PairSet) -> dict[str, Any]:
    return {
        "task": plan.task.name,
        "commit": _commit(),
        "torch": torch.__version__,
        "data": ", ".join(map(str, plan.data)),
        "data_folders": [str(folder) for folder in plan.data],
        "training_pairs": len(training.names),
        "validation_pairs": list(held_out.names),
        "configuration": dataclasses.asdict(plan.configuration),
    }


def _identity(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"there is no file {path} to start from")
    return {"name": path.name, "sha256": sha256(path)}


def _teacher_identity(path: Path | None, task: Task) -> list[dict[str, str]]:
    if path is not None:
        return [_identity(path)]
    files = shipped_weights(task).manifest["files"]
    return [files["safetensors"], files["proposal"]]


def _refuse_other_data(run: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InputError unless the pairs are those that the run was started with, as far as is on record."""
    if any(before.get(key) != now[key] for key in ("training_pairs", "validation_pairs")):
        raise InputError(
            f"the data are not those that {run} was started with: {now['training_pairs']} pairs for training "
            f"in {now['data']}, {before.get('training_pairs')} then, or other names"
        )


def _write_manifest(run: Path, manifest: Mapping[str, Any]) -> None:
    partial = run / f"{SETTINGS_FILE}.partial"
    partial.write_text(json.dumps(manifest, indent=1) + "\n")
    partial.replace(run / SETTINGS_FILE)


def _validation(
    held_out: PairSet, configuration: TrainingConfiguration, processes: Processes
) -> Validation | None:
    sizes = zip(held_out.names, held_out.planes.sizes, strict=True)
    small = [name for name, size in sizes if size.min() < MIN_SIDE_PX]
    if small:
        raise InputError(
            f"validation needs images of at least {MIN_SIDE_PX}x{MIN_SIDE_PX} pixels; smaller: "
            f"{', '.join(small)} (remove them, or give validation_pairs=0)"
        )
    return Validation(held_out, configuration.validation_px, processes) if len(held_out) else None


def _commit() -> str | None:
    """Return the commit of the checkout that this code runs from, with -dirty where it was changed."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
