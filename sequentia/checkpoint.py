"""Checkpoint file -> model, trusting nothing that the file says.

A checkpoint is Lightning's own file, read with PyTorch's `weights_only` unpickler, which builds tensors and plain
values and calls nothing. Beside Lightning's keys it holds, under `sequentia`, the architecture's name, which must be
one of this package's. `hyper_parameters` are the architecture's arguments, the vocabulary among them.
"""

import inspect
import pickle
from pathlib import Path
from typing import Any

import torch

from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.models.base import FORMAT, KEY


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and check a checkpoint file.

    Raises:
        UserError: It is missing, damaged, no checkpoint of sequentia's, or holds anything but tensors and plain values.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint {path}") from error
    except pickle.UnpicklingError as error:
        raise _refused(path, "it holds more than tensors and plain values, or is damaged") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged archive fails in many ways
        raise _refused(path, "it is damaged or no checkpoint") from error
    mark = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(mark, dict):
        raise _refused(path, "it is no checkpoint of sequentia's")
    if mark.get("format") != FORMAT:
        raise _refused(path, f"its format is {mark.get('format')!r}, this version reads {FORMAT}")
    if mark.get("architecture") not in ARCHITECTURES:
        raise _refused(path, f"it names the architecture {mark.get('architecture')!r}, not one of sequentia's")
    for key in ("hyper_parameters", "state_dict"):
        if not isinstance(checkpoint.get(key), dict):
            raise _refused(path, f"it has no {key}")
    return checkpoint


def build_model(checkpoint: dict[str, Any], path: Path) -> LanguageModel:
    """The model that a checkpoint read by `read_checkpoint` describes, with its weights, in evaluation mode.

    It is first built without memory, so that a size made up by a forger costs nothing before it is held against the
    weights that are there.

    Raises:
        UserError: Hyperparameters are not the architecture's, or the weights do not fit them.
    """
    architecture = ARCHITECTURES[checkpoint[KEY]["architecture"]]
    options, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"]
    expected = inspect.signature(architecture).parameters
    if set(options) - set(expected):
        raise _refused(path, f"unknown hyperparameters: {sorted(set(options) - set(expected))}")
    try:
        with torch.device("meta"):
            shapes = {name: weight.shape for name, weight in architecture(**options).state_dict().items()}
        if shapes != {name: weight.shape for name, weight in weights.items()}:
            raise UserError("its weights do not fit its hyperparameters")
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and thrown away
            model = architecture(**options)
        model.load_state_dict(weights)
    except UserError as error:
        raise _refused(path, str(error)) from error
    except Exception as error:
        raise _refused(path, f"its hyperparameters are not {architecture.__name__}'s") from error
    return model.eval()


def load_model(path: Path) -> LanguageModel:
    """The model of a checkpoint file, on the CPU, in evaluation mode.

    Raises:
        UserError: See `read_checkpoint` and `build_model`.
    """
    return build_model(read_checkpoint(path), path)


def _refused(path: Path, reason: str) -> UserError:
    siblings = [p for p in sorted(path.parent.glob("*.ckpt"), key=lambda p: -p.stat().st_mtime_ns) if p != path]
    remedy = f"; the next best is {siblings[0]}" if siblings else "; train again or give another --ckpt_path"
    return UserError(f"refused {path}: {reason}{remedy}")
