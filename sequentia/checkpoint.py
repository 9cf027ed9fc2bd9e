"""Checkpoint file -> model, trusting nothing that the file says.

A checkpoint is Lightning's own file, read with PyTorch's `weights_only` unpickler, which builds tensors and plain
values and calls nothing. Beside Lightning's keys it holds, under `sequentia`, the architecture's name, which must be
one of this package's. `hyper_parameters` are the architecture's arguments, the vocabulary among them.
"""

import inspect
import pickle
import reprlib
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.models.base import FORMAT, KEY


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and check a checkpoint file.

    Raises:
        UserError: It is missing, damaged, no checkpoint of sequentia's, or holds anything but tensors and plain values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.save never compresses; what is compressed may grow a thousandfold.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise _refused(path, "it is compressed, as no checkpoint is")
            if archive.testzip() is not None:  # PyTorch does not compare the checksums
                raise _refused(path, "it is damaged")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint {path}") from error
    except UserError:
        raise
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
        raise _refused(path, f"its format is {_shown(mark.get('format'))}, this version reads {FORMAT}")
    if mark.get("architecture") not in list(ARCHITECTURES):
        name = _shown(mark.get("architecture"))
        raise _refused(path, f"it names the architecture {name}, not one of sequentia's")
    for key in ("hyper_parameters", "state_dict"):
        if not isinstance(checkpoint.get(key), dict) or not all(isinstance(name, str) for name in checkpoint[key]):
            raise _refused(path, f"it has no {key}")
    options, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"].values()
    if not all(_is_plain(value) for value in options.values()) or not isinstance(options.get("vocabulary"), str):
        raise _refused(path, "its hyperparameters are no plain values, or it has no vocabulary")
    if not all(isinstance(weight, Tensor) and weight.layout == torch.strided for weight in weights):
        raise _refused(path, "its weights are no tensors")
    # Views of one small storage may pretend to any size; tied weights count twice.
    if sum(weight.numel() * weight.element_size() for weight in weights) > 2 * path.stat().st_size:
        raise _refused(path, "its weights are larger than the file")
    if not isinstance(checkpoint.get("global_step"), int):
        raise _refused(path, "it does not tell its step")
    return checkpoint


def _is_plain(value: object) -> bool:
    """Whether a hyperparameter is a number, text, or a list of such."""
    if isinstance(value, list | tuple):
        return all(isinstance(item, str | int | float | None) for item in value)
    return isinstance(value, str | int | float | None)


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
        raise _refused(path, f"unknown hyperparameters: {_shown(sorted(set(options) - set(expected)))}")
    most = 2 * len(weights) + 100  # parameters that a module makes before some are tied

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal most
        most -= 1
        if most < 0:
            raise UserError("its weights do not fit its hyperparameters")

    try:
        counting = nn.modules.module.register_module_parameter_registration_hook(count)
        try:
            with torch.device("meta"):
                forms = _forms(architecture(**options).state_dict())
        finally:
            counting.remove()
        if forms != _forms(weights):
            raise UserError("its weights do not fit its hyperparameters")
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and thrown away
            model = architecture(**options)
        model.load_state_dict(weights)
    except UserError as error:
        raise _refused(path, str(error)) from error
    except Exception as error:
        raise _refused(path, f"its hyperparameters are not {architecture.__name__}'s") from error
    for name, weight in weights.items():
        if weight.isnan().any() or weight.isposinf().any():  # -inf is a logit like others: probability zero
            raise _refused(path, f"its weights {name} are infinite or no numbers")
    return model.eval()


def _forms(weights: dict[str, Tensor]) -> dict[str, tuple[torch.Size, bool]]:
    """Shape of each weight, and whether it is of real numbers: in which precision may differ."""
    return {name: (weight.shape, weight.is_floating_point()) for name, weight in weights.items()}


def load_model(path: str | Path) -> LanguageModel:
    """The model of a checkpoint file, on the CPU, in evaluation mode.

    Raises:
        UserError: See `read_checkpoint` and `build_model`.
    """
    path = Path(path)
    return build_model(read_checkpoint(path), path)


def _shown(value: object) -> str:
    """A value from a stranger, at a bearable length."""
    return reprlib.repr(value)[:80]


def _refused(path: Path, reason: str) -> UserError:
    siblings = [p for p in sorted(path.parent.glob("*.ckpt"), key=lambda p: -p.stat().st_mtime_ns) if p != path]
    remedy = f"; the next best is {siblings[0]}" if siblings else "; train again or give another --ckpt_path"
    return UserError(f"refused {path}: {reason}{remedy}")
