"""`sequentia.fit`: the command `fit` as a function."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from sequentia.errors import UserError
from sequentia.keywords import command_options
from sequentia.lines import save_lines
from sequentia.models import LanguageModel
from sequentia.models.parts.saving import architecture_name
from sequentia.runs.directory import BEST, LAST, ROOT
from sequentia.runs.loading import load
from sequentia.runs.trust import trusted_modules

if TYPE_CHECKING:
    from sequentia.training.fit import FitCLI


def fit(
    data: str | os.PathLike[str] | Iterable[str] | None = None,
    *,
    config: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    ckpt_path: str | os.PathLike[str] | None = None,
    init_from: str | os.PathLike[str] | None = None,
    trust: str | Sequence[str] = (),
    **options: Any,
) -> LanguageModel:
    """Train a model, or resume a run: the command `sequentia fit`, with the same options, log lines and run directory.

    Options have the names of the command's, with a double underscore for the dot: `model__n_layer=2`,
    `data__batch_size=64`, `optimizer__lr=0.01`. Those of the Trainer need no prefix: `max_steps=300`,
    `default_root_dir="runs"`. `sequentia fit --help` lists the most useful ones.

    Logging, warnings, signal handlers and random numbers of the calling program are as before when the function ends.

    Args:
        data: A file, a URL or a packaged dataset's name; or the lines themselves: a list, a generator, a column of a
            pandas or Hugging Face dataset, ... Lines are saved to `checkpoints/lines`, so that the run can be resumed.
            Several files are given as `data__path=[...]`. By default the packaged names, or the data of the run that is
            resumed.
        config: A shipped config's name or a YAML file, or several, of which later ones override earlier ones. By
            default `transformer`, unless `model` or `ckpt_path` is given.
        ckpt_path: The run to resume: `last`, a run directory or a checkpoint.
        init_from: A checkpoint or run directory to start a new run from (fine-tuning).
        trust: Modules of your own architectures, which a checkpoint or run to start from may name.
        options: Any other option of the command: a number, a string, None, a list or a mapping; for `model`,
            `optimizer` and `lr_scheduler` also a class.

    Returns:
        The model with the lowest validation NLL, on the CPU, in evaluation mode; the last one if no line is held out.

    Raises:
        UserError: Whatever the command would report as the user's mistake.
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
    from sequentia.commands.fit import run_training
    from sequentia.training.isolation import isolated
    from sequentia.training.loop.stopping import Interrupted

    given = command_options(options)
    configs = [config] if isinstance(config, str | os.PathLike) else config or []
    if data is not None:
        if "data.path" in given:
            raise UserError("the data is given twice: omit the first argument, or data__path")
        given["data.path"] = _path(data, Path(given.get("trainer.default_root_dir", ROOT)))
    paths = {"ckpt_path": ckpt_path, "init_from": init_from}
    given |= {name: os.fspath(path) for name, path in paths.items() if path is not None}
    arguments = [f"--config={os.fspath(path)}" for path in configs] + [f"--{k}={v}" for k, v in given.items()]
    with isolated():
        try:
            return _best(cast("FitCLI", run_training("fit", arguments, started, trusted_modules(trust))))
        except Interrupted as stop:
            raise KeyboardInterrupt from stop


def _path(data: Any, root: Path) -> str:
    """The path of the data; lines are saved below `root` first."""
    from sequentia.data import CharDataModule

    if isinstance(data, CharDataModule):
        raise UserError("give the data's path: a CharDataModule is for a Trainer, Trainer(...).fit(model, data)")
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    return str(save_lines(data, root))


def _best(cli: "FitCLI") -> LanguageModel:
    """The best model of a run that has ended."""
    saver = cli.saver
    run = Path(saver.dirpath or "")
    for path in (Path(saver.best_model_path or run / BEST), run / LAST):
        if path.is_file() and not cli.trainer.fast_dev_run:
            return load(path, trust=[architecture_name(type(cli.model))])  # imported already
    return cli.model.cpu().eval()  # nothing is saved
