"""Options that are refused before anything is built or written: Lightning would fail late, or do another thing."""

import re
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.training.loop.budget import parse_time
from sequentia.training.loop.checkpointing import BestCheckpoint

_SECTIONS: dict[str, tuple[type, ...]] = {
    "trainer": (Trainer,),
    "data": (CharDataModule,),
    "checkpoint": (ModelCheckpoint, BestCheckpoint),
}
"""Section of the options -> the classes that take them; the later one overrides."""

_LARGEST_SEED = 2**32 - 1  # NumPy's


def check_options(options: Namespace) -> None:
    """Check what jsonargparse accepts although it has no meaning.

    Raises:
        UserError: An option is invalid.
    """
    for name, classes in _SECTIONS.items():
        section = options[name]
        if not isinstance(section, Namespace):
            # The value is not shown: it comes from a file, which may be the wrong one and secret.
            raise UserError(f"the section {name} of the config must hold options, not a single value")
        _check_null(name, section, classes)
    seed = options.seed_everything
    if not 0 <= seed <= _LARGEST_SEED:
        raise UserError(f"seed_everything must be in [0, {_LARGEST_SEED}], got {seed}")
    if options.trainer.max_time is not None:
        parse_time(str(options.trainer.max_time))
    root = str(options.trainer.default_root_dir)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", root):
        raise UserError(f"trainer.default_root_dir {root} is a URL: give a local directory, and copy complete runs")


def _check_null(name: str, section: Mapping[str, Any] | Namespace, classes: tuple[type, ...]) -> None:
    """Refuse null for an option whose type does not include it; jsonargparse accepts it for every option."""
    hints: dict[str, Any] = {}
    for cls in classes:
        hints |= get_type_hints(cls.__init__)  # type: ignore[misc]
    for option, value in vars(section).items():
        hint = hints.get(option, Any)
        if value is None and hint is not Any and type(None) not in get_args(hint):
            raise UserError(f"{name}.{option} must not be null: give a value, or omit it")
