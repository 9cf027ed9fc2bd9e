"""Mistakes in the options of `fit`, `validate` and `test`, each as one line."""

import re
from collections.abc import Iterable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from sequentia.data.paths import is_packaged
from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES
from sequentia.optim import Muon
from sequentia.runs.trust import import_trusted, refusal
from sequentia.schedule import WarmupDecay
from sequentia.text import SYNONYMS, similar
from sequentia.training.options import Given, is_config

_CLASSES: dict[str, Iterable[type]] = {
    "model": ARCHITECTURES.values(),
    "optimizer": (Muon,),
    "lr_scheduler": (WarmupDecay,),
}
"""Section of the options -> the classes that it can name, for the suggestion of a similar option."""


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
    if options.checkpoint.dirpath is not None:
        raise UserError("checkpoint.dirpath is always the run directory: set --trainer.default_root_dir instead")
    if "://" in str(options.trainer.default_root_dir):
        raise UserError(f"trainer.default_root_dir {options.trainer.default_root_dir} is a URL: give a local directory")


def parser_error(error: Exception, given: Given, options: Iterable[str]) -> UserError:
    """The one line about an error of jsonargparse.

    Args:
        error: The error.
        given: The arguments that are parsed.
        options: The dotted names of the parser's options.

    Raises:
        UserError: A class of the user's cannot be imported, which is the cause.
    """
    if (refused := refusal(error)) is not None:
        return refused
    for name in given.classes:
        import_trusted(name)  # says what is wrong with the user's code, which the parser does not
    return UserError(_parser_message(str(error), given, options))


def _parser_message(text: str, given: Given, options: Iterable[str]) -> str:
    """The cause of a jsonargparse error as one line that names the option."""
    see = f"; see `sequentia {given.command} --help`"
    # The content of a file that is not a config is not shown: it may be the wrong file, and secret.
    if text.startswith(("Unexpected config: ", "Problems parsing config: ")):
        return f"the config is not a YAML mapping of options{see}"
    if missing := re.search(r"(?:fit|validate|test)\.(\w+)$", text):
        return f"--{missing[1]} is required, or a --config that has {missing[1]}{see}"
    key = ".".join(dict.fromkeys(re.findall(r'Parser key "([^"]+)":', text)))
    if single := re.search("Unable to load config '(.*)'", text):
        option = {"data": "data.path", "checkpoint": "ckpt_path"}.get(key)
        meant = f": did you mean --{option} {single[1]}?" if option else see
        return f"--{key} takes a YAML file of options, got {single[1]!r}{meant}"
    if words := re.match(r"unrecognized arguments: ([^-].*)", text):
        return f"unrecognized arguments: {words[1]}{_misplaced(words[1].split()[0], given.sets_data) or see}"
    cls = re.search(r"Problem with given class_path '([\w.]+)':\n\s*(.*)", text)
    if unknown := re.search(r"unrecognized arguments: --?([\w.-]+)|option '([^']+)'|Option '([^']+)' is not", text):
        option = unknown[1] or unknown[2] or f"{key}.{unknown[3]}"
        own = [f"{key}.{name}" for name in signature(import_trusted(cls[1])).parameters] if cls else []
        meant = _suggestion(option, [*own, *options])
        every = f"; see `sequentia {given.command} --help{'_all' if given.command == 'fit' else ''}`"
        return f"no option --{option}{f': did you mean {meant}?' if meant else every}"
    if cls and (required := re.match(r"the following arguments are required: (.*)", cls[2])):
        how = f"give --{key}.{required[1].split(',')[0]} VALUE, or init_args below its class_path"
        return f"--{key}: {cls[1].rpartition('.')[2]} needs {required[1]}: {how}"
    if nothing := re.search(r"Expected a dot import path string: (\S+)|module \S+ has no attribute '(\w+)'", text):
        word, base = nothing[1] or nothing[2], re.search(r"Subtypes: .*?<class '([\w.]+)'>", text)
        close = similar(word.rpartition(".")[2], _subclasses(import_trusted(base[1]))) if base else []
        known = f": give one of {', '.join(n for n in ARCHITECTURES if '.' not in n)}" if key == "model" else see
        return f"--{key}: no class {word}{f': did you mean {close[0]}?' if close else known}"
    return f"{f'--{key}: ' if key else ''}{innermost(text)}{see}"


def _subclasses(base: type[Any]) -> Iterator[str]:
    """The names of all subclasses of a class, but for those that every run has."""
    for cls in base.__subclasses__():
        yield from () if cls.__module__.startswith("sequentia.training") else (cls.__name__,)
        yield from _subclasses(cls)


_FRAME = (
    "Does not validate against any of the Union subtypes",
    "Subtypes: ",
    "Expected a path but ",
    "Expected a <class 'NoneType'>",
    "Expected a <class 'list'>",
)


def innermost(text: str) -> str:
    """The message of the type that the user most likely meant, and the value.

    jsonargparse tries every type that an option may have and nests the messages of all of them.
    """
    lines = [re.sub(r'^(- )?(Parser key "[^"]+": )?', "", line.strip()) for line in text.splitlines() if line.strip()]
    message = next((line for line in lines if not (line.endswith(":") or line.startswith(_FRAME))), text)
    choices = ", ".join(re.findall(r"Expected a typing\.Literal\[(.*)\]", text))
    expected = re.match(r"Expected a <class '(?:\w+\.)*(\w+)'>", message)
    given = re.search(r"(?:Given|Got) value: (.*)", text)
    if given and (choices or expected):
        return f"expected {f'one of {choices}' if choices else expected and expected[1]}, got {given[1]!r}"
    return message


def _suggestion(unknown: str, options: list[str]) -> str:
    """The options most similar to an unknown one, both by their dotted names; empty if there are none."""
    for section, classes in _CLASSES.items():
        options += [f"{section}.{name}" for cls in classes for name in signature(cls).parameters]
    section, _, word = unknown.replace("-", "_").rpartition(".")
    names = similar(SYNONYMS.get(word, word), dict.fromkeys(option.rpartition(".")[2] for option in options), 2)
    close = [option for name in names for option in dict.fromkeys(options) if option.rpartition(".")[2] == name]
    same = [option for option in close if option.startswith(f"{section}.")]
    return " or ".join(f"--{option}" for option in (same or close)[:3])


def _misplaced(word: str, has_data: bool) -> str:
    """The option that an argument without one is probably for; empty if it could be anything."""
    path = Path(word)
    if "=" in word and not path.exists():
        return f": did you mean --{word}?"
    if is_config(word):
        return f": did you mean --config {word.lower() if not path.suffix else word}?"
    if path.suffix == ".ckpt" or path.is_dir():
        return f": did you mean --ckpt_path {word}?"
    option = "--data.path+" if has_data else "--data.path"  # one more file
    return f": did you mean {option} {word}?" if path.suffix or is_packaged(word) or path.exists() else ""
