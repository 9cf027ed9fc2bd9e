"""The checkpoint file: Lightning's own, with the name of the architecture, read without trusting it.

`sequentia.runs.archive` reads it as tensors and plain values; nothing that it names is called. In addition to
Lightning's keys it has the key `sequentia` with the name of the architecture. `hyper_parameters` are the arguments of
the architecture, the vocabulary among them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sequentia.errors import UserError
from sequentia.models.parts.saving import FORMAT, KEY, is_plain
from sequentia.runs.archive import load_archive
from sequentia.text import brief

_STEPS_LIMIT = 2**53  # beyond it, a float does not count in ones


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and check a checkpoint file.

    Raises:
        UserError: The file is missing, damaged, not a sequentia checkpoint, or holds anything but tensors and plain
            values.
    """
    if not path.is_file():  # a pipe would wait for its writer
        raise UserError(f"no checkpoint {path}")
    try:
        checkpoint = load_archive(path)
    except UserError as error:
        raise refused(path, str(error)) from error
    except Exception as error:  # a damaged archive fails in many ways, one of them a position that no file has
        if isinstance(error, OSError) and error.filename is not None:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        raise refused(path, "it is damaged or not a checkpoint") from error
    entry = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(entry, dict):
        raise refused(path, "it is not a sequentia checkpoint")
    if type(entry.get("format")) is not int or entry["format"] != FORMAT:
        raise refused(path, f"its format is {brief(entry.get('format'))}; this version reads format {FORMAT}")
    if not isinstance(entry.get("architecture"), str):
        raise refused(path, f"its architecture is not a name: {brief(entry.get('architecture'))}")
    for key in ("hyper_parameters", "state_dict"):
        if not isinstance(checkpoint.get(key), dict) or not all(isinstance(name, str) for name in checkpoint[key]):
            raise refused(path, f"it has no valid {key}")
    options, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"].values()
    if not all(is_plain(value) for value in options.values()) or not isinstance(options.get("vocabulary"), str):
        raise refused(path, "a hyperparameter is not a plain value, or the vocabulary is missing")
    if not all(isinstance(weight, Tensor) for weight in weights):
        raise refused(path, "a weight is not a tensor")
    # Many weights can be views of the same data; tied weights are two.
    if sum(weight.numel() * weight.element_size() for weight in weights) > 2 * path.stat().st_size:
        raise refused(path, "its weights are larger than the file")
    step = checkpoint.get("global_step")
    if type(step) is not int or not 0 <= step < _STEPS_LIMIT:
        raise refused(path, f"its step count is missing or invalid: {brief(step)}")
    return checkpoint


def contradicted(names: Iterable[str], stored: Mapping[str, object], given: Mapping[str, object]) -> str:
    """The hyperparameters of a checkpoint that the options contradict, for a message: `n_layer 2 (not 4), ...`."""
    return ", ".join(f"{name} {brief(stored[name])} (not {given[name]})" for name in names)


def refused(path: Path, reason: str) -> UserError:
    """The error for a checkpoint that is not loaded; names the newest other checkpoint beside it."""
    siblings = [p for p in sorted(path.parent.glob("*.ckpt"), key=lambda p: -p.stat().st_mtime_ns) if p != path]
    remedy = f"use {siblings[0]} instead" if siblings else "train again, or give another --ckpt_path"
    return UserError(f"refused {path}: {reason}; {remedy}")
