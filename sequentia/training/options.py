"""Where the options of a command come from: the user's arguments, on top of what the run recorded."""

import re
from argparse import ArgumentParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from sequentia.models import LanguageModel
from sequentia.runs.directory import CONFIG, ROOT
from sequentia.runs.trust import foreign_classes

_EVALUATION = ("accelerator", "precision", "default_root_dir")
"""Trainer options of a run that also apply when it is evaluated; its limits, callbacks and loggers do not."""


_CODE = re.compile(r"--(model|optimizer|lr_scheduler|trainer\.(?!default_root_dir))")
"""Options that can name a class."""


class Given:
    """What the user's arguments say about runs and data, read before the full parser can run.

    Args:
        arguments: The arguments after the subcommand.

    Attributes:
        ckpt_path: The value of `--ckpt_path`; None if it is not given.
        configs: The files given with `--config`; a pipe can be read only once, which the full parser does.
        init_from: Whether `--init_from` is given.
        help: Whether the user asks for help.
        local_classes: Paths of classes that the options name, if their module is in the working directory.
        sets_data: Whether the arguments or a given config set `data.path`.
        root: Directory of runs that the arguments mean: `trainer.default_root_dir`, or the default for the configs or
            the `--model`; None if they name none of these.
    """

    def __init__(self, arguments: list[str]) -> None:
        parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        # A missing value is an error of the full parser, not of this one.
        for name in ("--ckpt_path", "--model", "--model.class_path", "--trainer.default_root_dir"):
            parser.add_argument(name, nargs="?")
        parser.add_argument("-c", "--config", action="append", nargs="?", const="", default=[])
        parser.add_argument("--data.path", "--data", dest="data", nargs="?", const=True)
        parser.add_argument("--init_from", nargs="?", const=True)
        parser.add_argument("-h", "--help", nargs="?", const=True)
        options = vars(parser.parse_known_args([a for a in arguments if a != "--"])[0])
        sources = [_file(config) or config for config in options["config"] if config]
        contents = [_mapping(source) for source in sources]

        def first(argument: str, section: str, key: str) -> Any:
            values = (part[key] for part in (content.get(section) for content in reversed(contents)) if _has(part, key))
            return options[argument] or next(values, None)

        pairs = pairwise([*arguments, ""])
        values = [first.partition("=")[2] or second for first, second in pairs if _CODE.match(first)]
        named = (name for options in ({"values": values}, *contents) for name in foreign_classes(options))
        self.local_classes = [name for name in named if _in_working_directory(name.partition(".")[0])]
        self.configs = [source for source in sources if isinstance(source, Path)]
        self.ckpt_path = options["ckpt_path"] or next((c["ckpt_path"] for c in contents if c.get("ckpt_path")), None)
        self.init_from = options["init_from"] is not None
        self.help = options["help"] is not None
        self.sets_data = first("data", "data", "path") is not None
        model = _mapping(options["model"] or "").get("class_path") or options["model"] or options["model.class_path"]
        root = first("trainer.default_root_dir", "trainer", "default_root_dir")
        self.root = Path(str(root)) if root else self.default_root(model) if self.configs or model else None

    def default_root(self, class_path: str | None) -> Path:
        """Directory of runs that sets no `trainer.default_root_dir`: named after the first config, or the model."""
        return ROOT / (self.configs[0].stem if self.configs else str(class_path).rsplit(".", 1)[-1].lower())

    def trusts(self, run: Path) -> bool:
        """Whether the run's own config.yaml is given with `--config`, which lets it name any class."""
        return any(path.samefile(run / CONFIG) for path in self.configs)


def options_to_evaluate(recorded: dict[str, Any], architecture: type[LanguageModel]) -> dict[str, Any]:
    """The options with which a checkpoint is evaluated unless the user overrides them: data and device of its run.

    Args:
        recorded: The options in the run's config.yaml; empty if there is none.
        architecture: The architecture of the checkpoint.
    """
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


def _file(config: str) -> Path | None:
    """The file that a `--config` names; None if it is YAML itself, a pipe, or will be refused by the full parser."""
    try:
        path = Path(config).expanduser()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, in the home of nobody
        return None


def _mapping(source: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file or text; empty if there is none, which the full parser reports."""
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8") if isinstance(source, Path) else source)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _in_working_directory(module: str) -> bool:
    return Path(f"{module}.py").is_file() or Path(module).is_dir()


def _has(section: Any, key: str) -> bool:
    return isinstance(section, dict) and section.get(key) is not None


def as_list(value: Any) -> list[Any]:
    """The values of an option that takes one, several or none."""
    return value if isinstance(value, list) else [] if value is None else [value]
