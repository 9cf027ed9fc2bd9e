"""What a run prints on stderr."""

import logging
import os
import re
import shlex
import sys
import warnings
from pathlib import Path

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Trainer
from torch import Tensor
from tqdm import tqdm

from sequentia.models import LanguageModel
from sequentia.runs import CONFIG, LAST
from sequentia.text import printable

log = logging.getLogger("sequentia")


def plain_messages() -> None:
    """Log plain lines on stderr, and silence Lightning's tips."""
    handler = _AboveBar()
    handler.setFormatter(_Plain("%(message)s"))
    log.setLevel(logging.INFO if rank_zero_only.rank == 0 else logging.WARNING)
    logging.captureWarnings(True)
    for logger in (log, logging.getLogger("py.warnings")):
        logger.handlers = [handler]
        logger.propagate = False
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # the report of --trainer.profiler
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # caused by Lightning
    # By the time of this check the run directory has config.yaml, and last.ckpt if the run is resumed.
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
    # An empty validation split may be intended, and steps are logged by number, however many make an epoch.
    warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
    warnings.filterwarnings("ignore", "The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # caused by Lightning


class _AboveBar(logging.Handler):
    """Prints on stderr, above the progress bar if one is open."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


class _Plain(logging.Formatter):
    """Escapes control characters from paths and data, which could move the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).split("\n"))


def describe(model: LanguageModel) -> str:
    """Architecture and number of parameters."""
    size = sum(parameter.numel() for parameter in model.parameters())
    return f"{type(model).__name__} with {size:,} parameters"


def closing_message(run: Path, trainer: Trainer, best: Tensor | None) -> str:
    """The result of a run, and the commands to continue with.

    Args:
        run: The run directory.
        trainer: The trainer at the end of the run.
        best: The best score of the monitored metric; None if no line is held out.
    """
    result = "" if best is None else f", best validation NLL {best:.4f} nats per character"
    path = shlex.quote(str(run))
    extended = ""  # a complete run can only be resumed with a larger limit
    for option, done in (("max_steps", trainer.global_step), ("max_epochs", trainer.current_epoch)):
        if done == getattr(trainer, option):
            extended += f" --trainer.{option} {2 * done}"
    return (
        f"run {run}: step {trainer.global_step}{result}\n"
        f"  sample   sequentia sample --ckpt_path {path}\n"
        f"  curves   tensorboard --logdir {shlex.quote(str(run.parent.parent))}\n"
        f"  resume   sequentia fit --config {path}/{CONFIG} --ckpt_path {path}/{LAST}{extended}"
    )


def parser_message(error: BaseException) -> str:
    """The cause of a jsonargparse error as one line that names the option.

    jsonargparse tries every type that an option may have and nests the errors of all of them. The first innermost one
    belongs to the type that the user most likely meant.
    """
    text = " ".join(str(error).split())
    keys = [key for key in re.findall(r'Parser key "([^"]+)":', text) if key != "config"]
    option = f"--{'.init_args.'.join(keys)}: " if keys else ""
    for pattern, message in _CAUSES:
        if match := re.search(pattern, text):
            groups = [_TYPES.get(group, group) for group in match.groups()]
            return option + message.format(*groups) + "; see `sequentia fit --help`"
    return f"{text}; see `sequentia fit --help`"


_TYPES = {"int": "an int", "float": "a float", "bool": "a bool", "str": "a str"}

_CAUSES = (
    (r"File does not exist: (.+)", "no config file {}: give an existing YAML file"),
    (r"unrecognized arguments: (.+)", "no such option: {}"),
    (r"Option '([^']+)' is not accepted", "no such option: {}"),
    (r"does not accept option '([^']+)'", "no such option: {}"),
    (r"(?:fit|validate|test)\.(\w+)$", "--{0} is required, or a --config that has {0}"),
    (r"Problems parsing config: (.+)", "the config is not plain YAML: {}"),
    (r"Unexpected config: (.+)", "the config is not a YAML mapping of options: {}"),
    (r"Not of type timedelta: (.+?) (?:- Expected|Given)", "expected a time, {}"),
    (r"Expected a <class 'float'> - Expected a dot import path string: (\S+)", "expected a float, got {!r}"),
    (r"Expected a dot import path string: (\S+)", "no class {}"),
    (
        r"- Expected a <class '(\w+)'> - Expected a <class 'NoneType'> .*Given value: (.+)$",
        "expected {0}, got {1!r}",
    ),
    (
        r"Expected a <class '(\w+)'>\. Got value: (.+?)(?: - Expected a <class 'NoneType'>.*)?$",
        "expected {0}, got {1!r}",
    ),
)
"""jsonargparse's messages as patterns, and what to print instead; the first match counts."""
