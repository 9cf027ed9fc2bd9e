"""`sequentia.fit`: the command `fit` as a function."""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence, Set
from inspect import signature
from io import BytesIO, StringIO
from pathlib import Path
from time import monotonic
from typing import IO, Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.seed import isolate_rng

from sequentia.commands.fit import run_training
from sequentia.data.paths import plain
from sequentia.errors import UserError
from sequentia.files import expanded
from sequentia.models import LanguageModel
from sequentia.reporting.notebook import show_curves
from sequentia.runs.checkpoint import load
from sequentia.runs.directory import BEST, LAST, ROOT
from sequentia.runs.lines import keep
from sequentia.text import in_python, strings
from sequentia.training.cli import SequentiaCLI
from sequentia.training.loop.stopping import Interrupted


def fit(
    data: str | os.PathLike[str] | Iterable[str] | Iterable[tuple[str, str]] | IO[bytes] | None = None,
    *,
    config: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    ckpt_path: str | os.PathLike[str] | None = None,
    init_from: str | os.PathLike[str] | None = None,
    trust: str | Sequence[str] = (),
    **options: Any,
) -> LanguageModel:
    """Train a model, or resume a run: the command `sequentia fit`, with the same options and run directory.

    The log lines are the command's, too, with the names that options have in Python. A notebook shows them with a live
    progress bar and, at the end, the curves.

    Options are named as on the command line, with a double underscore for the dot: `model__n_layer=2`,
    `data__batch_size=64`, `optimizer__lr=0.01`. Trainer options need no prefix: `max_steps=300`,
    `default_root_dir="runs"`, `callbacks=[EarlyStopping("val/loss")]`. `sequentia fit --help` lists the most useful
    ones.

    The function leaves the program's random state, signal handlers, logging and warnings as they were.

    Args:
        data: A file, a URL or a packaged dataset's name; or the lines themselves: a list, a generator, a column of a
            pandas or Hugging Face dataset, an open file, ..., also as pairs of a label and a line. Lines are saved to
            `checkpoints/lines`, so that the run can be resumed. Several files are given as `data__path=[...]`. By
            default the packaged names, or the data of the run that is resumed.
        config: A shipped config's name or a YAML file, or several, of which later ones override earlier ones. By
            default `mixture`, unless `model` or `ckpt_path` is given.
        ckpt_path: The run to resume: `last`, a run directory or a checkpoint.
        init_from: A checkpoint or run directory to start a new run from (fine-tuning).
        trust: Modules of your own architectures, which a checkpoint or run to start from may name.
        options: Any other option of the command: a number, a string, None, a list or a mapping; for `model`,
            `optimizer` and `lr_scheduler` also a class. Options of the Trainer may be objects, such as callbacks and
            loggers; config.yaml does not record those, so give them again to resume.

    Returns:
        The model with the lowest validation NLL, on the CPU, in evaluation mode; the last one if no line is held out.

    Raises:
        UserError: The command would report a user's mistake.
        KeyboardInterrupt: Ctrl-C or another signal stopped the run, and its last checkpoint is saved.

    Example:
        >>> import sequentia, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     model = sequentia.fit(
        ...         ["emma", "olivia", "ava", "mia", "sophia"],
        ...         config="bigram_counts",
        ...         data__val_fraction=0,
        ...         data__test_fraction=0,
        ...         default_root_dir=directory,
        ...     )
        >>> sorted(model.vocabulary.characters)[:3]
        ['a', 'e', 'h']
        >>> len(model.sample(2, prompt="em"))
        2
    """
    started = monotonic()
    configs = [config] if isinstance(config, str | os.PathLike) else config or []
    modules = [trust] if isinstance(trust, str) else trust
    arguments = [*(f"--config={os.fspath(path)}" for path in configs), *(f"--trust={module}" for module in modules)]
    objects = {}
    if data is not None:
        if "data__path" in options:
            raise UserError("the data is given twice: omit the first argument, or data__path")
        root = Path(expanded(options.get("default_root_dir", ROOT)))
        if isinstance(data, str | os.PathLike):
            options["data__path"] = plain(data)
        else:
            is_file = hasattr(data, "read")
            lines: Any = data if is_file or isinstance(data, Set) or not isinstance(data, Iterable) else list(data)
            if isinstance(lines, list) and lines and all(isinstance(line, tuple) for line in lines):
                lines = _table(lines)
                options |= {"data__column": "line", "data__label": "label", "data__format": "csv"}
            options["data__path"] = save_lines(lines, root)
            if not is_file and "data__column" not in options:
                options.setdefault("data__format", "lines")  # each string is an example, whatever it looks like
    options |= {"ckpt_path": ckpt_path} if ckpt_path is not None else {}
    options |= {"init_from": init_from} if init_from is not None else {}
    of_trainer = signature(Trainer).parameters
    for name, value in sorted(options.items(), key=lambda option: "__" in option[0]):  # a class before its own options
        dotted = f"trainer.{name}" if name in of_trainer else name.replace("__", ".")
        try:
            arguments.append(f"--{dotted}={_text(value)}")
        except TypeError as error:
            if not dotted.startswith("trainer."):
                raise UserError(f"{name} must be a number, a string, a list or a mapping, got {value!r}") from error
            objects[dotted.removeprefix("trainer.")] = value
    with isolate_rng():
        try:
            cli = run_training("fit", arguments, started, objects)
        except UserError as error:
            raise UserError(in_python(str(error))) from error
        except Interrupted as stop:
            raise KeyboardInterrupt from stop
        show_curves(Path(cli.saver.dirpath or ""))
        return _best(cli)


def _text(value: Any) -> str:
    """An option's value as on the command line.

    Raises:
        TypeError: The value is an object.
    """
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return json.dumps(value, default=lambda item: item.tolist() if hasattr(item, "tolist") else os.fspath(item))


def save_lines(lines: Iterable[str] | IO[bytes], root: Path) -> Path:
    """Write lines to a text file below a directory of runs, named after its content; the same lines are saved once.

    A run's configuration can then name them as its data.

    Args:
        lines: A list, a column of a table, a generator, ...; a set is sorted, an open file loses its line ends.
        root: The directory of runs.

    Raises:
        UserError: An item is not a string or not one line, there are no items, or the file cannot be written.
    """
    lines = _lines_of(lines) if hasattr(lines, "read") else lines
    items = list(strings(sorted(lines, key=str) if isinstance(lines, Set) else lines, "the data"))
    if not items:
        raise UserError("the data has no items: give at least two lines")
    for index, line in enumerate(items):
        if broken := {"\n", "\r", "\0"}.intersection(line):
            raise UserError(f"item {index:,} of the data has the character {min(broken)!r}: each item must be one line")
    content = "".join(f"{line}\n" for line in items).encode()
    return keep(BytesIO(content), root)


def _table(pairs: list[tuple[str, str]]) -> list[str]:
    """Pairs of a label and a line as the lines of a table.

    Raises:
        UserError: An item is not a pair of strings.
    """
    rows = ["label,line"]
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise UserError(f"each item of the data must be a line, or a pair of a label and a line, got {pair!r}")
        row = StringIO()
        csv.writer(row, lineterminator="").writerow(pair)
        rows.append(row.getvalue())
    return rows


def _lines_of(file: Any) -> Iterator[str]:
    """The lines of an open file of text or bytes, without their ends."""
    try:
        for line in file:
            yield (line.decode() if isinstance(line, bytes) else line).rstrip("\r\n")
    except (OSError, ValueError) as error:  # opened for writing, closed, in another encoding
        raise UserError(f"the open file cannot be read: {str(error).rstrip('.')}; give its path") from error


def _best(cli: SequentiaCLI) -> LanguageModel:
    """The best model of a run that has ended."""
    run = Path(cli.saver.dirpath or "")
    for path in (run / BEST, run / LAST):
        if path.is_file() and not cli.trainer.fast_dev_run:
            return load(path)
    return cli.model.cpu().eval()  # nothing is saved
