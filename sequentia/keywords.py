"""Keyword arguments of `sequentia.fit` -> options of the command `fit`."""

import difflib
import inspect
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES

_TOP = ("model", "optimizer", "lr_scheduler", "lr_scheduler_interval", "seed_everything", "compile", "extra_metrics")
_FIXED = ("trainer", "data", "checkpoint")
"""Sections whose options are known; those of the others depend on the class that they name."""

_CHOSEN = ("model", "optimizer", "lr_scheduler")


def command_options(keywords: Mapping[str, Any]) -> dict[str, str]:
    """Dotted names of the command's options, and their values as text.

    Example:
        >>> command_options({"max_steps": 300, "data__val_fraction": 0, "lr_scheduler": None})
        {'lr_scheduler': 'null', 'trainer.max_steps': '300', 'data.val_fraction': '0'}

    Raises:
        UserError: There is no such option, one is given twice, or a value is an object.
    """
    options: dict[str, str] = {}
    for name, value in keywords.items():
        dotted = _dotted(name)
        if dotted in options:
            raise UserError(f"{dotted} is given twice: as {dotted.partition('.')[2]} and with its prefix")
        options[dotted] = _text(name, value)
    return dict(sorted(options.items(), key=lambda item: item[0] not in _CHOSEN))  # a class before its own options


def _dotted(name: str) -> str:
    known = _known()
    if name in _TOP:
        return name
    if f"trainer__{name}" in known:
        return f"trainer.{name}"
    section, _, option = name.partition("__")
    if (name in known and section in _FIXED) or (option and section in _CHOSEN):
        return name.replace("__", ".")
    raise UserError(f"fit has no option {name}{_suggestion(name, known)}")


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, type) and name in _CHOSEN:
        if "<" in value.__qualname__:
            raise UserError(
                f"{name} must be a class at the top level of a module, got {value.__qualname__}: move it there"
            )
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{name} must be a number, a string, None, or a list or mapping of these, got a {type(value).__name__}; "
            "for objects such as callbacks use plain Lightning: Trainer(...).fit(GRU.for_data(data), data)"
        ) from error


def _known() -> set[str]:
    """All options of trainer, data and checkpoint, and those of the shipped architectures."""
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    from sequentia.data import CharDataModule
    from sequentia.training.loop.checkpointing import RunCheckpoint

    def parameters(section: str, *classes: type) -> Iterator[str]:
        names = {name for cls in classes for name in inspect.signature(cls).parameters}
        yield from (f"{section}__{name}" for name in names - {"kwargs", "vocabulary", "context_length"})

    return {
        *_TOP,
        *("config", "ckpt_path", "init_from", "trust", "optimizer__lr", "optimizer__weight_decay"),
        *parameters("trainer", Trainer),
        *parameters("data", CharDataModule),
        *parameters("checkpoint", ModelCheckpoint, RunCheckpoint),
        *parameters("model", *ARCHITECTURES.values()),
    }


def _suggestion(name: str, known: set[str]) -> str:
    """The known options that are most like an unknown one, with or without its prefix."""
    by_end: dict[str, list[str]] = {}
    for option in sorted(known):
        by_end.setdefault(option.rpartition("__")[2], []).append(option)
    close = difflib.get_close_matches(name.rpartition("__")[2], by_end, n=2)
    names = [option.removeprefix("trainer__") for end in close for option in by_end[end]]
    return f": did you mean {' or '.join(names[:3])}?" if names else "; see `sequentia fit --help_all`"
