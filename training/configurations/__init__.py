"""The training schedules: a YAML file a task, the lite network's, the paper's; and reading such files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from refusion.errors import InputError, UsageError
from refusion.models import Model
from refusion.tasks import Task
from refusion.training.configuration import TrainingConfiguration, parsed
from refusion.yaml_bounds import refuse_excessive_yaml

FOLDER = Path(__file__).parent


def task_file(task: Task, model: Model = Model.full) -> Path:
    """Return the file with the schedule of a task; the lite network has one for all."""
    return FOLDER / f"{task.name if model is Model.full else model.name}.yaml"


def named_file(config: Path) -> Path:
    """Return the file of a schedule that comes with the package, if `config` is its name; else `config`."""
    own = FOLDER / f"{config.name}.yaml"
    return own if len(config.parts) == 1 and not config.suffix and own.is_file() else config


def load_configuration(path: Path) -> TrainingConfiguration:
    """Read settings from a YAML file; keys that it leaves out keep the defaults of TrainingConfiguration.

    Raises:
        InputError: There is no such file, or it is not readable.
        UsageError: It is no YAML mapping, or has keys that are unknown or twice there, or values of a wrong
            type; one error states all of them, a line each.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    refuse_excessive_yaml(path, text)
    try:
        # Nodes instead of values: the texts go through the same strict parser as key=value does (YAML 1.1
        # itself would take 1e-4 for a text), and each knows its line.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{path} must hold settings, a line each, as in 'epochs: 50'")
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, value in root.value:
        name, where = str(key.value), f"{path}, line {key.start_mark.line + 1}"
        if name in values:
            mistakes.append(f"{where}: {name} is there twice")
            continue
        try:
            scalar = isinstance(value, yaml.ScalarNode)
            values[name] = parsed(name, value.value if scalar else _source(text, value))
        except UsageError as error:
            mistakes.append(f"{where}: {error}")
    if mistakes:
        raise UsageError("\n  ".join(mistakes))
    return dataclasses.replace(TrainingConfiguration(), **values)


def _source(text: str, node: yaml.Node) -> str:
    """Return the source text of a node, on one line."""
    return " ".join(text[node.start_mark.index : node.end_mark.index].split())
