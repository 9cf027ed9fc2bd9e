"""Where the options of a command come from: the user's arguments, on top of what the run recorded."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml

from sequentia.models import LanguageModel
from sequentia.runs import CONFIG, ROOT

_EVALUATION = ("accelerator", "precision", "default_root_dir")
"""Trainer options of a run that also apply when it is evaluated; its limits, callbacks and loggers do not."""


class Given:
    """What the user's arguments say about runs and data, read before the full parser can run.

    Args:
        arguments: The arguments after the subcommand.

    Attributes:
        ckpt_path: The value of `--ckpt_path`; None if it is not given.
        configs: The files given with `--config`.
        help: Whether the user asks for help.
        sets_data: Whether the arguments or a given config set `data.path`.
        stem: Name for the directory of new runs: the stem of the first config, or the name of the architecture in
            `--model`; None if neither is given.
        root: Directory of runs that the arguments mean: `trainer.default_root_dir` or the one for `stem`; None if they
            name neither.
    """

    def __init__(self, arguments: list[str]) -> None:
        parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        # A missing value is an error of the full parser, not of this one.
        for name in ("--ckpt_path", "--model", "--model.class_path", "--trainer.default_root_dir"):
            parser.add_argument(name, nargs="?")
        parser.add_argument("--config", action="append", nargs="?", const="", default=[])
        parser.add_argument("--data.path", "--data", dest="data", nargs="?", const=True)
        parser.add_argument("-h", "--help", nargs="?", const=True)
        options = vars(parser.parse_known_args([a for a in arguments if a != "--"])[0])
        contents = [_read(path) for path in options["config"] if path]

        def first(argument: str, section: str, key: str) -> Any:
            values = (part[key] for part in (content.get(section) for content in reversed(contents)) if _has(part, key))
            return options[argument] or next(values, None)

        self.configs = [Path(path) for path in options["config"] if path]
        self.ckpt_path = options["ckpt_path"] or next((c["ckpt_path"] for c in contents if c.get("ckpt_path")), None)
        self.help = options["help"] is not None
        self.sets_data = first("data", "data", "path") is not None
        model = options["model"] or options["model.class_path"]
        names = [path.stem for path in self.configs] or ([_last_part(model)] if model else [])
        self.stem = names[0] if names else None
        root = first("trainer.default_root_dir", "trainer", "default_root_dir")
        self.root = Path(str(root)) if root else None if self.stem is None else ROOT / self.stem

    def trusts(self, run: Path) -> bool:
        """Whether the run's own config.yaml is given with `--config`, which lets it name any class."""
        return any(path.exists() and path.samefile(run / CONFIG) for path in self.configs)


def base_options(
    command: str, recorded: dict[str, Any] | None, architecture: type[LanguageModel] | None
) -> dict[str, Any]:
    """The options that the user's arguments override.

    Args:
        command: The subcommand.
        recorded: The options in the config.yaml of the run that is continued or evaluated, if there is one.
        architecture: The architecture of the checkpoint that is resumed or evaluated, if there is one.

    Returns:
        For `fit` everything that the run recorded, so that it resumes as it was started. For an evaluation the data and
        the device of the run, and the architecture of the checkpoint.
    """
    recorded = recorded or {}
    if command == "fit":
        return {key: value for key, value in recorded.items() if key != "ckpt_path"}
    if architecture is None:
        return {}
    trainer = recorded.get("trainer")
    kept = {key: trainer[key] for key in _EVALUATION if key in trainer} if isinstance(trainer, dict) else {}
    base = {key: recorded[key] for key in ("data", "seed_everything") if key in recorded}
    return base | {"trainer": kept, "model": {"class_path": f"{architecture.__module__}.{architecture.__name__}"}}


def restricted(options: dict[str, Any], to: dict[str, Any]) -> dict[str, Any]:
    """The options whose names are also in `to`, at every level."""
    return {
        key: restricted(value, to[key]) if isinstance(value, dict) and isinstance(to[key], dict) else value
        for key, value in options.items()
        if key in to
    }


def _read(path: str) -> dict[str, Any]:
    """A config as plain values; empty if it cannot be read, which the full parser reports."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _has(section: Any, key: str) -> bool:
    return isinstance(section, dict) and section.get(key) is not None


def _last_part(class_path: str) -> str:
    return class_path.rsplit(".", 1)[-1].lower()
