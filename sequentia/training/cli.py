"""`sequentia fit`, `validate` and `test`: LightningCLI with sequentia's data, models and runs."""

import errno
import logging
import os
import re
import reprlib
import shlex
import signal
import warnings
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from jsonargparse.typing import import_object
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import (
    LightningArgumentParser,
    LightningCLI,
    LRSchedulerTypeTuple,
    SaveConfigCallback,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from sequentia.checkpoint import build_model, read_checkpoint
from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.models.base import KEY
from sequentia.runs import (
    LAST,
    ROOT,
    best_checkpoint,
    create_run,
    find_checkpoint,
    newest_run,
    only_process,
    read_config,
)
from sequentia.text import printable
from sequentia.training.checkpointing import RunCheckpoint
from sequentia.training.divergence import StopWhenDiverged
from sequentia.training.heatmap import BigramHeatMap
from sequentia.training.interrupt import Interrupt, Interrupted
from sequentia.training.progress import RunProgress
from sequentia.training.resume import ExactResume
from sequentia.training.samples import SampleTable
from sequentia.training.saving import AtomicCheckpointIO, remove_leftovers, replacing

log = logging.getLogger("sequentia")


def run(name: str, arguments: list[str]) -> int:
    """Run the subcommand; returns the exit code."""
    _quiet()
    try:
        with ExitStack() as held:
            _run(name, arguments, held)
    except ArgumentError as error:
        raise UserError(_first_cause(error)) from error
    except Interrupted as stop:
        # Rank 0 alone tells how it ended: its launcher takes another process's code for a crash.
        return 0 if rank_zero_only.rank else 128 + stop.signum
    except MisconfigurationException as error:
        raise UserError(str(error)) from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning makes 1 of it
            return 128 + signal.SIGINT
        raise
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise UserError(f"cannot write {error.filename or 'the run'}: {error.strerror}; make room") from error
    return 0


_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def _run(name: str, arguments: list[str], held: ExitStack) -> None:
    TrainingCLI(
        held,
        LanguageModel,
        CharDataModule,
        subclass_mode_model=True,
        save_config_callback=SaveConfig if name == "fit" else None,
        seed_everything_default=0,
        trainer_defaults={"num_sanity_val_steps": 0, "enable_model_summary": False, "callbacks": []},
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        parser_kwargs={"prog": "sequentia", "exit_on_error": False},
        args=[name, *arguments],
    )


class TrainingCLI(LightningCLI):
    """LightningCLI, whose runs lie in `checkpoints/<config stem>/version_N`.

    Args:
        held: Closed when the command ends: it holds the run's lock.
    """

    model: LanguageModel

    def __init__(self, held: ExitStack, *args: Any, **kwargs: Any) -> None:
        self.held = held
        super().__init__(*args, **kwargs)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The subcommands, and which of the trainer method's arguments are no options."""
        return {
            "fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"},
            "validate": {"model", "dataloaders", "datamodule", "weights_only"},
            "test": {"model", "dataloaders", "datamodule", "weights_only"},
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the groups `checkpoint`, `optimizer` and `lr_scheduler`, and what flows from data to model."""
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_optimizer_args((torch.optim.Optimizer,))
        parser.add_lr_scheduler_args(LRSchedulerTypeTuple)
        # As an option with a default it is told in config.yaml, and `null` keeps the rate constant.
        parser.set_defaults({"lr_scheduler": {"class_path": "sequentia.schedule.WarmupDecay"}})
        for name, compute in (("vocabulary", lambda vocabulary: vocabulary.characters), ("context_length", None)):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", compute, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse what the caller gives, without Lightning's warning that it is not `sys.argv`."""
        self.config = parser.parse_args(args)

    def before_instantiate_classes(self) -> None:
        """Find the run's directory and the checkpoint, before anything slow is done."""
        config = self.config[self.subcommand]
        if config.trainer.default_root_dir is None:
            config.trainer.default_root_dir = str(ROOT / _stem(config))
        root = Path(config.trainer.default_root_dir)
        if self.subcommand == "fit":
            run, self.checkpoint = _place_to_fit(config.ckpt_path, root)
            if run is not None:
                self._go_on_in(run)
        else:
            self.checkpoint = _checkpoint_to_evaluate(config.ckpt_path, root)
        self.loaded = None if self.checkpoint is None else read_checkpoint(self.checkpoint)
        config.ckpt_path = None  # what config.yaml names shall not resume by itself

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, with the callbacks and logger of a run."""
        config = self._get(self.config_init, "trainer")
        callbacks: list[Callback] = []
        if config["enable_progress_bar"] is not False:
            callbacks.append(RunProgress())
        if self.subcommand == "fit":
            self._set_optimizer()
            if not hasattr(self, "run"):  # made now: options and data are good
                self._go_on_in(_new_run(Path(config["default_root_dir"])))
            self._get(self.config_init, "checkpoint").dirpath = str(self.run.resolve())
            self.resume = ExactResume(int(self._get(self.config_init, "seed_everything")))
            saver = self._get(self.config_init, "checkpoint")
            callbacks += [StopWhenDiverged(), self.resume, SampleTable(), BigramHeatMap(), Interrupt(saver)]
            kwargs["plugins"] = [*_as_list(config["plugins"]), AtomicCheckpointIO()]
            if config["logger"] in (None, True):
                step = None if self.loaded is None else int(self.loaded["global_step"])
                kwargs["logger"] = TensorBoardLogger(
                    self.run.parent, name="", version=self.run.name, default_hp_metric=False, purge_step=step
                )
        else:
            kwargs["logger"] = False
        self.trainer_defaults["callbacks"] = callbacks
        try:
            return super().instantiate_trainer(**kwargs)
        except (ValueError, TypeError) as error:
            raise UserError(f"the trainer's options do not go together: {error}") from error

    def _go_on_in(self, run: Path) -> None:
        """Take a run's directory for this process alone."""
        self.run = run
        if rank_zero_only.rank == 0:
            self.held.callback(_remove_if_empty, run)
            self.held.enter_context(only_process(run))
            remove_leftovers(run)

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except Interrupted:
            if self.trainer.is_global_zero:
                log.info(closing_words(self.run, self.trainer))
            raise
        except (UserError, OSError, MisconfigurationException, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if subcommand != "fit" or self.checkpoint is None or self.resume.under_way:
                raise
            raise UserError(
                f"cannot go on with {self.checkpoint}: its training state is damaged or does not fit these options "
                f"({type(error).__name__}: {str(error)[:150]}); start a new run, or give another --ckpt_path"
            ) from error

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        return kwargs | {"ckpt_path": self.checkpoint if subcommand == "fit" else None, "weights_only": True}

    def _parse_ckpt_path(self) -> None:
        """Nothing: Lightning would let the checkpoint's hyperparameters override the command line without a word."""

    def _set_optimizer(self) -> None:
        optimizer, schedule = (self._get(self.config_init, name) for name in ("optimizer", "lr_scheduler"))
        if optimizer:
            self.model.optimizer = partial(_class(optimizer), **_options(optimizer))
        self.model.lr_scheduler = partial(_class(schedule), **_options(schedule)) if schedule else None

    def after_instantiate_classes(self) -> None:
        """Evaluate the checkpoint's own model, whatever model the configuration describes."""
        if self.checkpoint is None or self.loaded is None:
            return
        if self.subcommand == "fit":
            build_model(self.loaded, self.checkpoint)  # refuses what it would refuse to sample from
            _check_fits(self.model, self.loaded)
            return
        self.model = build_model(self.loaded, self.checkpoint)
        self.model.check_vocabulary(self.datamodule.vocabulary)
        if self.model.max_positions is not None and self.datamodule.context_length > self.model.max_positions:
            raise UserError(
                f"{self.datamodule.path} has lines of {self.datamodule.context_length - 1} characters, the model of "
                f"{self.checkpoint} reads at most {self.model.max_positions - 1}: set --data.max_length"
            )

    def before_fit(self) -> None:
        """Tell where the run lies, and what is different from the run so far."""
        if not self.trainer.is_global_zero:
            return
        if self.checkpoint is None or self.loaded is None:
            log.info(f"new run in {self.run}: {_describe(self.model)}")
            return
        log.info(f"going on with {self.checkpoint} at step {self.loaded['global_step']}")
        if not (self.checkpoint.parent / "config.yaml").is_file():
            return
        old = _flat(read_config(self.checkpoint.parent))
        new = _flat(yaml.safe_load(self._parser("fit").dump(self.config["fit"], skip_none=False)))
        for name in new:
            if new[name] != old.get(name):
                log.info(f"  from here on {name} is {new[name]}, so far it was {reprlib.repr(old.get(name))}")

    def after_fit(self) -> None:
        """Tell what to do next."""
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:
            log.info(closing_words(self.run, self.trainer))


def closing_words(run: Path, trainer: Trainer) -> str:
    """Where a run lies, what it reached, and the commands that go on from it."""
    best = trainer.checkpoint_callback.best_model_score if trainer.checkpoint_callback else None
    reached = "" if best is None else f", best validation NLL {best:.4f} nats per character"
    place = shlex.quote(str(run))
    return (
        f"run {run}: step {trainer.global_step}{reached}\n"
        f"  new lines    sequentia sample --ckpt_path {place}\n"
        f"  curves       tensorboard --logdir {shlex.quote(str(run.parent.parent))}\n"
        f"  go on        sequentia fit --config {place}/config.yaml --ckpt_path {place}/{LAST}"
    )


class SaveConfig(SaveConfigCallback):
    """Writes the run's config.yaml in one move: a reader finds all of it or the one before."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write it."""
        log_dir = trainer.log_dir  # a broadcast: all processes must take part
        if trainer.is_global_zero and not trainer.fast_dev_run:
            run = Path(log_dir or trainer.default_root_dir)
            run.mkdir(parents=True, exist_ok=True)
            text = self.parser.dump(self.config, skip_none=False)
            with replacing(run / "config.yaml") as temporary:
                temporary.write_text(text, encoding="utf-8")


def _describe(model: LanguageModel) -> str:
    size = sum(parameter.numel() for parameter in model.parameters())
    return f"{type(model).__name__} with {size:,} parameters"


def _stem(config: Namespace) -> str:
    """Name for the runs of a configuration: the first config file's stem, or else the architecture's name."""
    if config.config:
        return Path(str(config.config[0])).stem
    return str(config.model.class_path).rsplit(".", 1)[-1].lower()


def _place_to_fit(given: str | None, root: Path) -> tuple[Path | None, Path | None]:
    """The run directory to write to (None for a new one), and the checkpoint to go on from."""
    if given is None:
        return None, None
    if given == "last":
        run = newest_run(root)
        if run is None:
            raise UserError(f"no run to go on with under {root}: leave out --ckpt_path to start one")
        if not (run / LAST).is_file():
            log.warning(f"{run} was stopped before its first checkpoint: it starts again from the beginning")
            return run, None
        return run, run / LAST
    path = Path(given) / LAST if Path(given).is_dir() else find_checkpoint(given)
    if not path.is_file():
        raise UserError(f"no {LAST} in {given}: give a run directory that has one, or a checkpoint file")
    if path.name == LAST and (path.parent / "config.yaml").is_file():
        return path.parent, path
    return None, path  # from any other checkpoint a run branches off


def _new_run(root: Path) -> Path:
    # Other processes of a distributed run write nothing there.
    return create_run(root) if rank_zero_only.rank == 0 else root


def _remove_if_empty(run: Path) -> None:
    """Remove the directory of a run that came to nothing: `--ckpt_path last` shall not mean it."""
    with suppress(OSError):
        run.rmdir()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _checkpoint_to_evaluate(given: str | None, root: Path) -> Path:
    if given not in (None, "last", "best"):
        return find_checkpoint(given)
    run = newest_run(root)
    if run is None:
        raise UserError(f"no run under {root} yet: train one with `sequentia fit`, or give --ckpt_path")
    return run / LAST if given == "last" else best_checkpoint(run)


def _check_fits(model: LanguageModel, checkpoint: dict[str, Any]) -> None:
    """Refuse to go on with weights of another architecture, size or vocabulary."""
    model.on_load_checkpoint(checkpoint)
    theirs, ours = checkpoint["hyper_parameters"], model.hparams
    if checkpoint[KEY]["architecture"] != type(model).__name__:
        raise UserError(
            f"the checkpoint is a {checkpoint[KEY]['architecture']}, the options ask for {type(model).__name__}"
        )
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    if shapes != {name: weight.shape for name, weight in checkpoint["state_dict"].items()}:
        differ = [name for name in ours if name in theirs and ours[name] != theirs[name]]
        other = ", ".join(f"{name} {reprlib.repr(theirs[name])} (not {ours[name]})" for name in differ)
        raise UserError(f"the checkpoint's model has {other}: give the run's own config.yaml, or start a new run")


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """A nested configuration with dotted names."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for name, value in tree.items() for k, v in _flat(value, f"{prefix}.{name}".lstrip(".")).items()}


def _class(config: Namespace) -> type:
    return import_object(config.class_path)


def _options(config: Namespace) -> dict[str, Any]:
    return dict(config.get("init_args") or {})


def _first_cause(error: BaseException) -> str:
    """The words of a parser's error that tell the user what is wrong, on one line.

    jsonargparse tries each type that an option may have, and tells of all of them, nested; the innermost of the first
    is what the option is for.
    """
    text = " ".join(str(error).split())
    keys = [key for key in re.findall(r'Parser key "([^"]+)":', text) if key != "config"]
    option = f"--{'.init_args.'.join(keys)}: " if keys else ""
    for pattern, words in _CAUSES:
        if match := re.search(pattern, text):
            return option + words.format(*match.groups()) + "; see `sequentia fit --help`"
    return f"{text}; see `sequentia fit --help`"


_CAUSES = (
    (r"File does not exist: (.+)", "no config file {}: give an existing YAML file"),
    (r"unrecognized arguments: (.+)", "no such option: {}"),
    (r"Option '([^']+)' is not accepted", "there is no option {}"),
    (r"does not accept option '([^']+)'", "there is no option {}"),
    (r"(?:fit|validate|test)\.(\w+)$", "give --{0}, or a --config that has {0}"),
    (r"Problems parsing config: (.+)", "the config is no plain YAML: {}"),
    (r"Unexpected config: (.+)", "the config is no YAML of options: {}"),
    (r"Not of type timedelta: (.+?) (?:- Expected|Given)", "{}"),
    (r"Expected a <class 'float'> - Expected a dot import path string: (\S+)", "{!r} is no number"),
    (r"Expected a dot import path string: (\S+)", "there is no class {}"),
    (r"Expected a <class '(\w+)'>\. Got value: (.+?)(?: - Expected a <class 'NoneType'>.*)?$", "{1!r} is no {0}"),
)
"""What jsonargparse says -> what to tell the user of it; the first that matches counts."""


def _quiet() -> None:
    """Plain messages on stderr, without Lightning's tips and notes."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO if rank_zero_only.rank == 0 else logging.WARNING)
    log.propagate = False
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's own use of it
    # The run directory holds config.yaml by then, and last.ckpt when a run goes on.
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
    # Nothing held out is a choice; and steps are logged by their number, however many make an epoch.
    warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
    warnings.filterwarnings("ignore", "The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # Lightning's own use of PyTorch


class _Plain(logging.Formatter):
    """Lines of text, in which nothing from paths or data can move the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).split("\n"))
