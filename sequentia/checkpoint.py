"""The checkpoint file: Lightning's own, with the name of the architecture, read without trusting it.

It is read with PyTorch's `weights_only` unpickler, which builds tensors and plain values and calls nothing. In addition
to Lightning's keys it has the key `sequentia` with the name of the architecture. `hyper_parameters` are the arguments
of the architecture, the vocabulary among them.
"""

import pickle
import reprlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sequentia.errors import UserError

KEY = "sequentia"
"""Key of what this package adds to Lightning's checkpoint."""

FORMAT = 1
"""Number of the checkpoint's layout; any other is refused."""


def mark(checkpoint: dict[str, Any], architecture: str) -> None:
    """Record the layout and the name of the architecture in a checkpoint that is about to be written."""
    checkpoint[KEY] = {"format": FORMAT, "architecture": architecture}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and check a checkpoint file.

    Raises:
        UserError: The file is missing, damaged, not a sequentia checkpoint, or holds anything but tensors and plain
            values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.save never compresses, and a compressed file could expand a thousandfold.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise refused(path, "it is compressed, which a checkpoint never is")
            if archive.testzip() is not None:  # PyTorch does not verify checksums
                raise refused(path, "it is damaged: a checksum does not match")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint {path}") from error
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise refused(path, "it is damaged, or holds more than tensors and plain values") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged archive fails in many ways
        raise refused(path, "it is damaged or not a checkpoint") from error
    entry = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(entry, dict):
        raise refused(path, "it is not a sequentia checkpoint")
    if entry.get("format") != FORMAT:
        raise refused(path, f"its format is {shown(entry.get('format'))}; this version reads format {FORMAT}")
    if not isinstance(entry.get("architecture"), str):
        raise refused(path, f"its architecture is not a name: {shown(entry.get('architecture'))}")
    for key in ("hyper_parameters", "state_dict"):
        if not isinstance(checkpoint.get(key), dict) or not all(isinstance(name, str) for name in checkpoint[key]):
            raise refused(path, f"it has no valid {key}")
    options, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"].values()
    if not all(_is_plain(value) for value in options.values()) or not isinstance(options.get("vocabulary"), str):
        raise refused(path, "a hyperparameter is not a plain value, or the vocabulary is missing")
    if not all(isinstance(weight, Tensor) and weight.layout == torch.strided for weight in weights):
        raise refused(path, "a weight is not a dense tensor")
    # Views of one small storage can claim any size; tied weights count twice.
    if sum(weight.numel() * weight.element_size() for weight in weights) > 2 * path.stat().st_size:
        raise refused(path, "its weights are larger than the file")
    if not isinstance(checkpoint.get("global_step"), int):
        raise refused(path, "its step count is missing")
    return checkpoint


def _is_plain(value: object) -> bool:
    """Whether a hyperparameter is a number, a string, None, or a list of these."""
    if isinstance(value, list | tuple):
        return all(isinstance(item, str | int | float | None) for item in value)
    return isinstance(value, str | int | float | None)


def shown(value: object) -> str:
    """An untrusted value as text of limited length."""
    return reprlib.repr(value)[:80]


def contradicted(names: Iterable[str], stored: Mapping[str, object], given: Mapping[str, object]) -> str:
    """The hyperparameters of a checkpoint that the options contradict, for a message: `n_layer 2 (not 4), ...`."""
    return ", ".join(f"{name} {shown(stored[name])} (not {given[name]})" for name in names)


def refused(path: Path, reason: str) -> UserError:
    """The error for a checkpoint that is not loaded; names the newest other checkpoint beside it."""
    siblings = [p for p in sorted(path.parent.glob("*.ckpt"), key=lambda p: -p.stat().st_mtime_ns) if p != path]
    remedy = f"use {siblings[0]} instead" if siblings else "train again, or give another --ckpt_path"
    return UserError(f"refused {path}: {reason}; {remedy}")
