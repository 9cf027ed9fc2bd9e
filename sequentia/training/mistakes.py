"""Mistakes in the options of `fit`, `validate` and `test`, each as one line."""

import difflib
import re
from collections.abc import Iterable
from inspect import signature
from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES
from sequentia.models.parts.shipped import shipped_configs
from sequentia.optim import Muon
from sequentia.runs.trust import import_trusted, refusal
from sequentia.schedule import WarmupDecay
from sequentia.training.loop.budget import parse_time
from sequentia.training.loop.checkpointing import BestCheckpoint

_CLASSES: dict[str, Iterable[type]] = {
    "trainer": (Trainer,),
    "data": (CharDataModule,),
    "checkpoint": (ModelCheckpoint, BestCheckpoint),
    "model": ARCHITECTURES.values(),
    "optimizer": (Muon,),
    "lr_scheduler": (WarmupDecay,),
}
"""Section of the options -> the classes that take them, for the suggestion of a similar name."""


def check_options(options: Namespace) -> None:
    """Refuse values that would end in a traceback, or silently do something else.

    Raises:
        UserError: An option is invalid.
    """
    for section in ("trainer", "data", "checkpoint"):
        if not isinstance(options[section], Namespace):
            # The value is not shown: it comes from a file, which may be the wrong one and secret.
            raise UserError(f"the section {section} of the config must hold options, not a single value")
    if not 0 <= options.seed_everything < 2**32:  # NumPy's range
        raise UserError(f"seed_everything must be in [0, {2**32 - 1}], got {options.seed_everything}")
    if options.trainer.max_time is not None:
        parse_time(str(options.trainer.max_time))
    if options.checkpoint.dirpath is not None:
        raise UserError("checkpoint.dirpath is always the run directory: set --trainer.default_root_dir instead")
    if "://" in str(options.trainer.default_root_dir):
        raise UserError(f"trainer.default_root_dir {options.trainer.default_root_dir} is a URL: give a local directory")


def parser_error(error: Exception, classes: Iterable[str]) -> UserError:
    """The one line about an error of jsonargparse.

    Args:
        error: The error.
        classes: Import paths of the user's own classes that the options name.

    Raises:
        UserError: One of the classes cannot be imported, which is the cause.
    """
    if (refused := refusal(error)) is not None:
        return refused
    for name in classes:
        import_trusted(name)  # says what is wrong with the user's code, which the parser does not
    return UserError(_parser_message(error))


def _parser_message(error: Exception) -> str:
    """The cause of a jsonargparse error as one line that names the option."""
    text, see = str(error), "; see `sequentia fit --help`"
    # The content of a file that is not a config is not shown: it may be the wrong file, and secret.
    if text.startswith("Unexpected config: "):
        return f"the config is not a YAML mapping of options{see}"
    if text.startswith("Problems parsing config: "):
        position = re.search(r"line \d+, column \d+", text)
        return f"the config is not plain YAML{f': {position[0]}' if position else ''}{see}"
    if missing := re.search(r"(?:fit|validate|test)\.(\w+)$", text):
        return f"--{missing[1]} is required, or a --config that has {missing[1]}{see}"
    keys = dict.fromkeys(re.findall(r'Parser key "([^"]+)":', text))
    message = _innermost(text)
    if "config" in keys and message.startswith(("File", "Path")):
        message += f": give an existing YAML file, or the name of a shipped config ({', '.join(shipped_configs())})"
    unknown = re.search(r"unrecognized arguments: --([\w.]+)|[Oo]ption '([^']+)'", message)
    return (f"--{'.'.join(keys)}: " if keys else "") + message + (_suggestion(*unknown.groups("")) if unknown else see)


def instantiation_message(error: Exception) -> str:
    """The cause of a failure to instantiate the classes that the options name, as one line."""
    if isinstance(error, ImportError):
        return f"an option needs a package that is not installed: {error}"
    return f"invalid or conflicting options: {_innermost(str(error))}"


def start_error(error: Exception, checkpoint: Path | None) -> UserError:
    """The one line about a run that fails in its first step.

    Args:
        error: What was raised.
        checkpoint: The checkpoint that was resumed.
    """
    if checkpoint is None:
        return UserError(f"the first step fails, perhaps because of its options: {error}")
    return UserError(
        f"cannot resume {checkpoint}: its training state is damaged or does not fit these options "
        f"({type(error).__name__}: {str(error)[:150]}); start a new run, or give another --ckpt_path"
    )


_FRAME = (
    "Does not validate against any of the Union subtypes",
    "Subtypes: ",
    "Expected a path but ",
    "Expected a <class 'NoneType'>",
    "Expected a <class 'list'>",
)


def _innermost(text: str) -> str:
    """The message of the type that the user most likely meant, and the value.

    jsonargparse tries every type that an option may have and nests the messages of all of them.
    """
    lines = [re.sub(r'^(- )?(Parser key "[^"]+": )?', "", line.strip()) for line in text.splitlines() if line.strip()]
    message = next((line for line in lines if not (line.endswith(":") or line.startswith(_FRAME))), text)
    expected = re.match(r"Expected a (?:<class '(?:\w+\.)*(\w+)'>|typing\.Literal(\[.*\]))", message)
    given = re.search(r"(?:Given|Got) value: (.*)", text)
    if expected and given:
        return f"expected {expected[1] or f'one of {expected[2]}'}, got {given[1]!r}"
    return message.replace("Expected a dot import path string:", "no class")


def _suggestion(argument: str, option: str) -> str:
    """The options most similar to an unknown one, from any section."""
    by_name: dict[str, dict[str, None]] = {}
    for section, classes in _CLASSES.items():
        for name in (name for cls in classes for name in signature(cls).parameters):
            by_name.setdefault(name, {})[f"--{section}.{name}"] = None
    close = difflib.get_close_matches((argument or option).rpartition(".")[2], by_name, n=2)
    options = [full for name in close for full in by_name[name]][:3]
    return f": did you mean {' or '.join(options)}?" if options else "; see `sequentia fit --help_all`"
