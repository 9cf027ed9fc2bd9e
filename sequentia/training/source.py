"""The run or checkpoint that a command starts from, and what it recorded."""

import logging
import reprlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sequentia.data import CharDataModule
from sequentia.data.paths import OPTIONS, missing
from sequentia.data.split import SPLIT_OPTIONS
from sequentia.errors import UserError
from sequentia.files import sha256
from sequentia.runs.checkpoint import architecture_of, read_checkpoint
from sequentia.runs.directory import CONFIG, ROOT, find_checkpoint, read_config, run_to_fit
from sequentia.training.options import Given

log = logging.getLogger("sequentia")

LEAK = "validation and test lines may have been trained on, which makes their metrics too optimistic"


@dataclass
class Source:
    """What a command starts from; empty for a new run.

    Attributes:
        run: The run directory that `fit` writes to, if it exists.
        checkpoint: The checkpoint that is resumed or evaluated.
        digest: The SHA-256 of a checkpoint that is evaluated.
        content: The content of the checkpoint.
        recorded: The options in the config.yaml of the run.
        base: The options that the arguments override, chosen from `recorded`.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    digest: str = ""
    content: dict[str, Any] = field(default_factory=dict)
    recorded: dict[str, Any] = field(default_factory=dict)
    base: dict[str, Any] = field(default_factory=dict)

    def has_other_lines(self, data: CharDataModule) -> bool:
        """Whether the lines of the data differ from those that the checkpoint was trained on."""
        state = self.content.get(type(data).__name__)
        return isinstance(state, dict) and state != data.state_dict()

    def changed(self, data: CharDataModule, options: dict[str, Any]) -> str:
        """What to say if the data is that of the run but its lines have changed; empty otherwise.

        Args:
            data: The data.
            options: Its options, which differ from those of the run if the user names or splits the data anew.
        """
        if self.checkpoint is None or options != self.recorded.get("data") or not self.has_other_lines(data):
            return ""
        return f"{data.shown_path} has changed since {self.checkpoint.parent} was started"

    def check_files(self, options: Any) -> None:
        """Refuse data of the run that is not where the run recorded it.

        Args:
            options: The options of the data.

        Raises:
            UserError: A file that the run recorded does not exist.
        """
        recorded = self.recorded.get("data", {})
        for name in OPTIONS:
            if options[name] == recorded.get(name) and (path := missing(options[name])):
                raise UserError(f"no data file {path}, which the run recorded: restore it, or give --data.{name}")

    def log_changes(self, options: dict[str, Any]) -> None:
        """Log each of these options that overrides one of the run."""
        for change in changes(self.base, options):
            log.info(f"  {change}")

    def is_own_data(self, data: CharDataModule) -> bool:
        """Whether the lines and their split are those that the checkpoint was trained on."""
        options = self.recorded.get("data")
        if not isinstance(options, dict) or type(data).__name__ not in self.content or self.has_other_lines(data):
            return False
        return all(name in options and options[name] == getattr(data, name) for name in SPLIT_OPTIONS)


def find_source(command: str, given: Given) -> Source:
    """What the arguments of a command mean.

    Raises:
        UserError: There is no such run, or its checkpoint or config.yaml cannot be used.
    """
    source, root = Source(), given.root or ROOT
    if command == "fit":
        source.run, source.checkpoint = run_to_fit(given.ckpt_path, root)
    else:
        source.checkpoint = find_checkpoint(given.ckpt_path, root)
        source.digest = sha256(source.checkpoint)  # before it is read: it can be replaced at any time
    run = source.run if source.checkpoint is None else source.checkpoint.parent
    if run is not None and (run / CONFIG).is_file():
        source.recorded = read_config(run)
    source.base = source.recorded
    if source.checkpoint is not None:
        source.content = read_checkpoint(source.checkpoint)
        architecture = architecture_of(source.content, source.checkpoint, given.trust)
        where = f"no {CONFIG} beside {source.checkpoint}, which would name its"
        if not source.recorded and command != "fit" and not given.sets_data:
            raise UserError(f"{where} data: give --data.path")
        if not source.recorded and command == "fit":
            start = f"--init_from {shlex.quote(str(source.checkpoint))}"
            if architecture.single_epoch:  # it has no weights to start from
                start = f"--model {architecture.__name__}"
            raise UserError(f"{where} options: start a new run with {start} --data.path FILE")
        if command != "fit":  # only data and device of the run
            recorded, trainer = source.recorded, source.recorded.get("trainer") or {}
            source.base = {k: recorded[k] for k in ("data", "seed_everything", "init_from") if k in recorded}
            source.base["trainer"] = {k: trainer[k] for k in ("accelerator", "precision") if k in trainer}
            source.base["model"] = {"class_path": f"{architecture.__module__}.{architecture.__name__}"}
    return source


def changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """One text for each option that a run recorded and whose value changed, with its dotted name."""
    for name, value in new.items():
        before = old.get(name, value)
        if isinstance(value, dict) and isinstance(before, dict):
            yield from changes(before, value, f"{prefix}{name}.")
        elif value != before:
            effect = f" ({LEAK})" if prefix == "data." and name in SPLIT_OPTIONS else ""
            yield f"{prefix}{name} changed: {reprlib.repr(before)} -> {value}{effect}"
