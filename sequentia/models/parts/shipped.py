"""The configs that come with the package: found by name, and an architecture's optimizer and schedule in them."""

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import yaml

DEFAULT = "mixture"
"""The config of `fit` without `--config` and `--model`."""

TRANSFORMER = "transformer"
"""The config of `fit` with options of a model, but without one."""

_DEFAULTS = {
    "optimizer": {"class_path": "torch.optim.AdamW"},
    "lr_scheduler": {"class_path": "sequentia.schedule.WarmupDecay"},
}
"""Optimizer and schedule of an architecture without a shipped config."""


def shipped_configs() -> dict[str, Path]:
    """Every shipped config: its name (the stem of the file) and its path.

    An installed package has them in its own directory, a source tree beside it.
    """
    package = Path(__file__).parents[2]
    installed = package / "configs"
    directory = installed if installed.is_dir() else package.parent / "configs"
    return {path.stem: path for path in sorted(directory.glob("*.yaml"))}


def find_config(config: str) -> str:
    """The path of the shipped config that a `--config` means: `gru`, `gru.yaml` and `configs/gru.yaml` are the same.

    Anything else is returned unchanged, and so is the name of an existing file.
    """
    match = re.fullmatch(r"(?:configs/)?([\w-]+?)(?:\.yaml)?", config)
    path = shipped_configs().get(match[1]) if match else None
    return config if path is None or Path(config).is_file() else str(path)


def config_of(architecture: type) -> Path | None:
    """The shipped config that is named after the module of an architecture, or of its nearest base that has one."""
    stems = (cls.__module__.removeprefix("sequentia.models.") for cls in architecture.__mro__)
    return next((path for stem in stems if (path := shipped_configs().get(stem)) is not None), None)


@cache
def recipe(architecture: type) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """The factories of the optimizer, from parameter groups, and of the learning-rate schedule, from the optimizer."""
    path = config_of(architecture)
    options = _DEFAULTS | ({} if path is None else yaml.safe_load(path.read_text(encoding="utf-8")))
    schedule = options["lr_scheduler"]
    return factory(options["optimizer"]), None if schedule is None else factory(schedule)


def factory(entry: Any) -> partial[Any]:
    """The class that a config's `class_path` names, with its `init_args`."""
    return partial(resolve_name(entry["class_path"]), **dict(entry.get("init_args") or {}))
