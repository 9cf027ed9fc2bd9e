"""The options of `fit`, `validate` and `test`, and the run that they mean, which is found before they are parsed."""

import json
import os
import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.cli import LightningArgumentParser, ReduceLROnPlateau
from torch.optim.lr_scheduler import LRScheduler

from sequentia.data.paths import OPTIONS, located, plain
from sequentia.errors import UserError
from sequentia.files import expanded
from sequentia.models import ARCHITECTURES
from sequentia.models.parts.saving import architecture_name
from sequentia.models.parts.shipped import DEFAULT, TRANSFORMER, config_of, find_config, shipped_configs
from sequentia.reporting.tables import Format
from sequentia.runs.checkpoint import load
from sequentia.runs.config import parse_config
from sequentia.runs.directory import ROOT
from sequentia.runs.trust import foreign_classes, search_working_directory, trusted_modules
from sequentia.text import similar
from sequentia.training.loop.checkpointing import BestCheckpoint

_CODE = re.compile(r"--(optimizer|lr_scheduler|trainer\.)")
"""Options that can name a class, beside `--model`."""

_MODEL_OPTION = re.compile(r"--model\.(?!members\b)")
"""Options of an architecture that is not a mixture."""

_SINGLE = ("trainer.default_root_dir", "data.path", "init_from")
"""Options with one value that decide on the run, beside `--ckpt_path`."""


class Given:
    """The part of the user's arguments that decides on the run.

    Args:
        command: The subcommand.
        arguments: The arguments after it.

    Raises:
        UserError: A config is missing or not a mapping of options, or an argument has no value.

    Attributes:
        command: The subcommand.
        ckpt_path: The value of `--ckpt_path`; None if it is not given.
        trust: Modules that a checkpoint and a run's config.yaml may name.
        classes: Import paths of the user's own classes that the options name.
        sets_data: Whether the arguments or a given config set `data.path`.
        trained: The architecture and its options in the checkpoint that `--init_from` names, if they name none.
        root: Directory of runs that the arguments mean: `trainer.default_root_dir`, or the default for the configs or
            the model; None if they name none of these.
        arguments: The arguments for the parser of all options: configs and classes come before single options.
    """

    def __init__(self, command: str, arguments: list[str]) -> None:
        self.command = command
        try:
            "".join([*arguments, os.getcwd()]).encode()
        except UnicodeEncodeError as error:  # which config.yaml and TensorBoard cannot record
            raise UserError("the name of a file or directory is not valid UTF-8: rename it") from error
        arguments = _with_first_named(command, arguments)
        parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        parser.add_argument("-c", "--config", action="append", default=[])
        parser.add_argument("--trust", action="append", default=[])
        parser.add_argument("--model", "--model.class_path", dest="model")
        for name in ("ckpt_path", *_SINGLE):
            parser.add_argument(f"--{name}", dest=name)
        try:
            namespace, others = parser.parse_known_args(arguments)
        except ArgumentError as error:
            raise UserError(f"{error}; see `sequentia {command} --help`") from error
        options = vars(namespace)
        self.ckpt_path, self.trust = options["ckpt_path"], trusted_modules(options["trust"])
        paths = [find_config(expanded(config)) for config in options["config"]]
        pipes = {path for path in paths if os.path.exists(path) and Path(path).is_fifo()}  # can be read only once
        configs = [Path(path).read_text("utf-8", "surrogateescape") if path in pipes else path for path in paths]
        contents = [_content(config) for config in configs]
        given: dict[str, Any] = {name: options[name] or _setting(contents, name) for name in _SINGLE}
        model = options["model"] or ""
        model = parse_config(model, "--model").get("class_path") if model.startswith("{") else model
        model = model or _setting(contents, "model.class_path")
        self.sets_data, self.trained = bool(given["data.path"]), None
        if command == "fit" and given["init_from"] and not model and not self.ckpt_path:
            self.trained = _trained_model(str(given["init_from"]), self.trust)
            model, options["model"] = self.trained["class_path"], json.dumps(self.trained)
        names = [Path(config).stem for config in configs if os.path.isfile(config)]
        # Options of a model, such as model.n_layer, mean the Transformer's: the default has members instead.
        default = TRANSFORMER if any(map(_MODEL_OPTION.match, others)) else DEFAULT
        if command == "fit" and not self.ckpt_path and not any("optimizer" in content for content in contents):
            # An architecture's defaults are in its shipped config, which others override.
            base = _shipped_config(str(model)) if model else None if configs else shipped_configs()[default]
            if base is not None:
                configs.insert(0, str(base))
                names.append(base.stem)
        if model:
            names.append(str(model).rpartition(".")[2].lower())
        root = given["trainer.default_root_dir"]
        self.root = Path(expanded(str(root))) if root else ROOT / names[0] if names else None

        values = [first.partition("=")[2] or second for first, second in pairwise([*others, ""]) if _CODE.match(first)]
        self.classes = list(foreign_classes([model, values, *contents]))
        if self.classes:
            search_working_directory()
        first = [f"--{name}={options[name]}" for name in ("model", *_SINGLE) if options[name] is not None]
        self.arguments = [*(f"--config={config}" for config in configs), *first, *others]


def _with_first_named(command: str, arguments: list[str]) -> list[str]:
    """The arguments, with its option before the first one if that is the data of `fit`, or the run to evaluate.

    Raises:
        UserError: The option is given too.
    """
    if not arguments or arguments[0].startswith("-"):
        return arguments
    first, *others = arguments
    option = "--data.path" if command == "fit" else "--ckpt_path"
    if any(other.partition("=")[0] == option for other in others):
        raise UserError(f"{first} and {option} are both given: give one of them")
    if command == "fit" and (is_config(first) or first.endswith(".ckpt")):
        return arguments  # the parser's error says --config or --ckpt_path
    return [f"{option}={first}", *others]


def is_config(word: str) -> bool:
    """Whether a word is the name of a shipped config, or of a YAML file."""
    return find_config(word.lower()) != word.lower() or word.endswith((".yaml", ".yml"))


def _setting(contents: Sequence[dict[str, Any]], name: str) -> Any:
    """The value of an option in the last of these configs that has it; None if none has."""
    section, _, key = name.partition(".")
    values = (content.get(section) for content in reversed(contents))
    found = (value.get(key) if isinstance(value, dict) else value for value in values)
    return next((value for value in found if value), None)


def add_options(parser: LightningArgumentParser, command: str) -> None:
    """Add the options of a command that are not the Trainer's, and pass vocabulary and length to the model."""
    parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
    parser.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="Compile the model with torch.compile. It takes a minute, which pays off on a GPU or in long runs.",
    )
    parser.add_argument(
        "--extra_metrics",
        type=bool,
        default=True,
        help="Log more than the losses: quality of samples, accuracy, learning rates, gradient norm, speed, and "
        "pictures of the trained model. It takes about 2 percent of the time, and 3 seconds at the end.",
    )
    parser.add_argument(
        "--init_from",
        type=str | None,
        default=None,
        help="Start a new run from the weights of a checkpoint: a file, or a run directory (its best checkpoint). "
        "The data may have other characters and longer lines. The model has the architecture and sizes of the "
        "checkpoint unless an option names an architecture.",
    )
    parser.add_optimizer_args((torch.optim.Optimizer,))
    parser.add_lr_scheduler_args((LRScheduler, ReduceLROnPlateau))
    parser.add_argument(
        "--lr_scheduler_interval",
        type=Literal["step", "epoch"] | None,
        default=None,
        help="When the schedule steps: after each optimizer step, or at the end of each epoch. By default after "
        "each step if it takes total_steps, otherwise each epoch.",
    )
    # An option with a default, so that config.yaml records it and `null` can keep the rate constant.
    parser.set_defaults({"lr_scheduler": {"class_path": "sequentia.schedule.WarmupDecay"}})
    for name, compute in (("vocabulary", lambda vocabulary: vocabulary.plain), ("context_length", None)):
        parser.link_arguments(f"data.{name}", f"model.init_args.{name}", compute, apply_on="instantiate")
    if command != "fit":
        parser.add_argument(
            "--format",
            type=Format,
            default="table",
            help="How to print the result: a table for people, one JSON object, or CSV with a header and one line.",
        )
        parser.add_argument(
            "--valid",
            type=str | None,
            default=None,
            help="Measure the fraction of valid samples: module:function, a function of a text that returns whether it "
            "is valid. The module is in the current directory or installed.",
        )


def locate(options: Any) -> None:
    """Make the paths in the options of a command, or of its run, find the same files from any directory."""
    data, init_from = options.get("data"), options.get("init_from")
    for name in OPTIONS:
        data[name] = located(plain(data[name]))
    if isinstance(init_from, str) and init_from != "last":
        options["init_from"] = os.path.abspath(expanded(init_from))


def _shipped_config(model: str) -> Path | None:
    """The config of an architecture of this package, given by its name or import path; None for any other."""
    package, _, name = model.rpartition(".")
    known = name in ARCHITECTURES and package.partition(".")[0] in ("", "sequentia")
    return config_of(ARCHITECTURES[name]) if known else None


def _trained_model(init_from: str, trust: Sequence[str]) -> dict[str, Any]:
    """The architecture of a checkpoint and its own options, as `--model` takes them."""
    model = load(init_from, trust=trust)
    options = {name: value for name, value in model.hparams.items() if name not in ("vocabulary", "context_length")}
    return {"class_path": architecture_name(type(model)), "init_args": options}


def _content(config: str) -> dict[str, Any]:
    """The options in a `--config`: a file, or YAML itself.

    Raises:
        UserError: There is no such file, or its content is not a mapping of options.
    """
    if os.path.isfile(config):
        try:
            return parse_config(Path(config).read_bytes(), config)
        except OSError as error:
            raise UserError(f"cannot read {config}: {error.strerror}; check its permissions") from error
    if re.search(r"[{\[\n]|:\s", config):
        return parse_config(config, "the YAML of --config")
    names = shipped_configs()
    meant = "".join(f"did you mean {name}? " for name in similar(Path(config).stem, names))
    raise UserError(
        f"no config file {config[:80]!r}: {meant}give an existing YAML file, or the name of a shipped config "
        f"({', '.join(names)})"
    )


def as_list(value: Any) -> list[Any]:
    """The values of an option that takes one, several or none."""
    return value if isinstance(value, list) else [] if value is None else [value]
