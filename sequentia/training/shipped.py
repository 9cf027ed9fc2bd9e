"""The configs that come with the package, found by name from any directory."""

import re
from pathlib import Path

from sequentia.models import ARCHITECTURES

DEFAULT = "transformer"
"""The config of `fit` without `--config` and `--model`."""


def shipped_configs() -> dict[str, Path]:
    """Every shipped config: its name (the stem of the file) and its path.

    An installed package has them in its own directory, a source tree beside it.
    """
    package = Path(__file__).parents[1]
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


def shipped_config(model: str) -> Path | None:
    """The config of an architecture of this package, given by its name or import path; None for any other."""
    package, _, name = model.rpartition(".")
    if name not in ARCHITECTURES or package.partition(".")[0] not in ("", "sequentia"):
        return None
    return shipped_configs().get(ARCHITECTURES[name].__module__.rpartition(".")[2])
