"""The configs that come with the package, found by name from any directory."""

import re
from pathlib import Path

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


def with_shipped_configs(command: str, arguments: list[str]) -> list[str]:
    """Arguments of `fit`, `validate` or `test` in which shipped configs are given by their paths.

    If they name no config, model or checkpoint, `fit` uses the default config.
    """
    found = list(arguments)
    for i, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in ("--config", "-c") and equals:
            found[i] = f"{option}={find_config(value)}"
        elif argument in ("--config", "-c") and i + 1 < len(arguments):
            found[i + 1] = find_config(arguments[i + 1])
    given = {argument.partition("=")[0] for argument in arguments}
    chosen = {"--config", "-c", "--model", "--model.class_path", "--ckpt_path"}
    if command == "fit" and not given & chosen and "--help" not in given:
        found = [f"--config={shipped_configs()[DEFAULT]}", *found]
    return found
