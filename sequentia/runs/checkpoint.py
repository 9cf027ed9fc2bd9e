"""From a checkpoint file to a model, without trusting the file.

The file is Lightning's own, with one more key, `sequentia`, that names the architecture. `hyper_parameters` are the
arguments of the architecture, the vocabulary among them. PyTorch's safe reader builds tensors and plain values only.
It verifies no checksums, and for an entry that is marked as a directory it returns uninitialized memory; both are
checked before it reads.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary
from zipfile import ZipFile

import torch

from sequentia.data import CharDataModule
from sequentia.data.paths import missing, shown
from sequentia.errors import UserError, out_of_memory
from sequentia.inference.conditions import remember_training_lines
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.models.parts.saving import FORMAT, KEY
from sequentia.runs.directory import CONFIG, find_checkpoint, read_config
from sequentia.runs.trust import import_trusted, is_trusted, remedy, trusted_modules
from sequentia.text import brief, shorten

_DIRECTORY = 0x10  # bit of an entry's external attributes

log = logging.getLogger("sequentia")


def load(path: str | Path | None = None, *, trust: str | Sequence[str] = ()) -> LanguageModel:
    """The model of a checkpoint, on the CPU, in evaluation mode.

    Args:
        path: A checkpoint file, a run directory (its best checkpoint), a directory of runs (its newest run), or None
            for the newest run below `checkpoints`.
        trust: Modules whose code may be run, because the checkpoint's architecture is in one of them. A checkpoint of
            any other module is refused, and nothing is imported.

    Raises:
        UserError: There is no such checkpoint; or the file is not a checkpoint of this package, or is damaged: see
            `read_checkpoint` and `build_model`.
    """
    checkpoint = find_checkpoint(None if path is None else str(path))
    content = read_checkpoint(checkpoint)
    model = build_model(content, checkpoint, trusted_modules(trust))
    _origins[model] = Origin(checkpoint.absolute(), content.get("CharDataModule"))
    remember_training_lines(model, _training_lines)
    return model


def _training_lines(model: LanguageModel) -> Callable[[str], bool]:
    data = training_data(model, "novel", "correct its path there", may_differ=True)
    return lambda text: data.splits_of([text]) == ["train"]


class Origin(NamedTuple):
    """The origin of a loaded model."""

    checkpoint: Path
    data_state: object
    """The fingerprint of the lines that it was trained on, as its checkpoint records it; None if unknown."""


_origins: WeakKeyDictionary[LanguageModel, Origin] = WeakKeyDictionary()


def origin(model: LanguageModel) -> Origin | None:
    """The origin of a model; None if it was not loaded from a checkpoint."""
    return _origins.get(model)


def training_data(model: LanguageModel, needed_by: str, remedy: str, may_differ: bool = False) -> CharDataModule:
    """The data that a model was trained on, according to the config.yaml of the run that it was loaded from.

    Args:
        model: The model.
        needed_by: The option or function that needs it, for a message.
        remedy: What to do, rather than restore a file that does not exist.
        may_differ: Whether other lines of the same characters are used, with a warning, rather than refused.

    Raises:
        UserError: The model was not loaded from a run, or the data cannot be read or has changed since.
    """
    found = origin(model)
    if found is None:
        raise UserError(f"{needed_by} needs the training data, but this model was not loaded from a run: give the data")
    run = Path(shown(str(found.checkpoint.parent)))
    try:
        data = CharDataModule(**read_config(run)["data"])
        for path in filter(None, map(missing, (data.path, data.val_path, data.test_path))):
            raise UserError(f"no data file {path}: restore it, or {remedy}")
        if found.data_state not in (None, data.state_dict()):
            changed = f"{data.shown_path} has changed since {run} was started"
            if not may_differ or data.vocabulary != model.vocabulary:
                raise UserError(f"{changed}: restore it")
            log.warning(f"{changed}: {needed_by} uses its current lines")
    except (UserError, KeyError, TypeError) as error:
        raise UserError(f"{needed_by} needs the training data that {run / CONFIG} names: {error}") from error
    return data


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file: tensors on the CPU and plain values.

    Raises:
        UserError: The file is missing, damaged, not a sequentia checkpoint, or holds anything but tensors and plain
            values.
    """
    if not path.is_file():  # opening a pipe would wait for its writer
        raise UserError(f"no checkpoint {path}")
    with _refusing(path, "it is damaged, or not a checkpoint"):
        with path.open("rb") as file:
            with ZipFile(file) as archive:
                if archive.testzip() is not None:
                    raise UserError("it is damaged")
                if any(entry.is_dir() or entry.external_attr & _DIRECTORY for entry in archive.infolist()):
                    raise UserError("it is damaged: data is marked as a directory")
            file.seek(0)
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(KEY), dict):
            raise UserError("it is not a sequentia checkpoint")
        if checkpoint[KEY]["format"] != FORMAT:
            raise UserError(f"its format is {brief(checkpoint[KEY]['format'])}; this version reads format {FORMAT}")
    return checkpoint


def architecture_of(checkpoint: dict[str, Any], path: Path, trust: Sequence[str] = ()) -> type[LanguageModel]:
    """The architecture that a checkpoint from `read_checkpoint` names.

    Args:
        checkpoint: The content of the checkpoint.
        path: Its file.
        trust: Modules that may be imported.

    Raises:
        UserError: The architecture is neither defined yet nor a `LanguageModel` of a trusted module.
    """
    name = checkpoint[KEY].get("architecture")
    if not isinstance(name, str):
        raise refused(path, f"its architecture is not a name: {brief(name)}")
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if not is_trusted(name, trust):
        raise UserError(f"refused {path}: its architecture {brief(name)} is not one of sequentia's{remedy(name)}")
    architecture = import_trusted(name)
    if not (isinstance(architecture, type) and issubclass(architecture, LanguageModel)):
        raise refused(path, f"{name} is not a LanguageModel")
    return architecture


def build_model(checkpoint: dict[str, Any], path: Path, trust: Sequence[str] = ()) -> LanguageModel:
    """The model that a checkpoint from `read_checkpoint` describes, with its weights, in evaluation mode.

    Raises:
        UserError: The architecture is unknown, the hyperparameters are not its own, or the weights do not match them.
    """
    architecture = architecture_of(checkpoint, path, trust)
    with _refusing(path, f"it does not match the architecture {architecture.__name__}"):
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then replaced
            model = architecture(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
    return model.eval()


def refused(path: Path, reason: str) -> UserError:
    """The error for a checkpoint that is not loaded; names the newest other checkpoint beside it."""
    siblings = [p for p in sorted(path.parent.glob("*.ckpt"), key=lambda p: -p.stat().st_mtime_ns) if p != path]
    advice = f"use {siblings[0]} instead" if siblings else "train again, or give another checkpoint"
    return UserError(f"refused {path}: {reason}; {advice}")


@contextmanager
def _refusing(path: Path, reason: str) -> Iterator[None]:
    """Turn every error in the block into one line: a damaged or forged file fails in many ways."""
    try:
        yield
    except UserError as error:
        raise refused(path, str(error)) from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        if out_of_memory(error):
            raise refused(path, "not enough memory for it") from error
        # PyTorch's reader advises to unpickle the file in another way, which would run its code.
        detail = "" if "eights only load" in str(error) else f" ({type(error).__name__}: {error})"
        raise refused(path, shorten(" ".join(f"{reason}{detail}".split()), 200)) from error
