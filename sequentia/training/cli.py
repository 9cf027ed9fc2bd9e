"""LightningCLI with sequentia's data, models and runs: what `sequentia fit`, `validate` and `test` are made of."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from jsonargparse.typing import import_object
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, LRSchedulerTypeTuple
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sequentia.checkpoint import build_model, read_checkpoint
from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.runs import LAST, ROOT, only_process, read_config
from sequentia.training.changes import changes, check_fits
from sequentia.training.checkpointing import RunCheckpoint
from sequentia.training.divergence import StopWhenDiverged
from sequentia.training.heatmap import BigramHeatMap
from sequentia.training.interrupt import Interrupt, Interrupted
from sequentia.training.length import TellLength, set_length
from sequentia.training.messages import closing_words, describe
from sequentia.training.overhead import NoProfiler, skip_empty_hooks
from sequentia.training.place import checkpoint_to_evaluate, new_run, place_to_fit, remove_if_never_begun
from sequentia.training.progress import RunProgress
from sequentia.training.resume import ExactResume
from sequentia.training.samples import SampleTable
from sequentia.training.saving import AtomicCheckpointIO, remove_leftovers

log = logging.getLogger("sequentia")


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
        parser.add_argument(
            "--compile", type=bool, default=False, help="Compile the model: worth its minute on a GPU, or in long runs."
        )
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
        if config.trainer.accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
            if config.trainer.accelerator != "auto":
                raise UserError(
                    "Apple's GPU has no float64, in which figures are summed: set --trainer.accelerator cpu"
                )
            config.trainer.accelerator = "cpu"
        for name, remedy in _NOT_FREE.items():
            if config.checkpoint[name] is not None:
                raise UserError(f"checkpoint.{name} cannot be set: {remedy}")
        if self.subcommand == "fit":
            run, self.checkpoint = place_to_fit(config.ckpt_path, root)
            if run is not None:
                self._go_on_in(run)
        else:
            self.checkpoint = checkpoint_to_evaluate(config.ckpt_path, root)
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
            with _told_plainly():
                set_length(config, self.datamodule, self._watches_a_figure())
            told = self._get(self.config, "trainer")  # what config.yaml tells
            for name in ("max_steps", "val_check_interval", "check_val_every_n_epoch"):
                told[name] = config[name]
            if not hasattr(self, "run"):  # made now: options and data are good
                self._go_on_in(new_run(Path(config["default_root_dir"])))
            self.saver = self._get(self.config_init, "checkpoint")
            self.saver.dirpath = str(self.run.resolve())
            self.save_config_kwargs["run"] = self.run
            self.resume = ExactResume(int(self._get(self.config_init, "seed_everything")))
            callbacks += [
                TellLength(),
                StopWhenDiverged(self.saver),
                self.resume,
                SampleTable(),
                BigramHeatMap(),
                Interrupt(self.saver),
            ]
            kwargs["plugins"] = [*_as_list(config["plugins"]), AtomicCheckpointIO()]
            if config["profiler"] is None:
                kwargs["profiler"] = NoProfiler()
            if config["logger"] in (None, True):
                step = None if self.loaded is None else int(self.loaded["global_step"])
                kwargs["logger"] = TensorBoardLogger(
                    self.run.parent, name="", version=self.run.name, default_hp_metric=False, purge_step=step
                )
        else:
            kwargs |= {"logger": False, "check_val_every_n_epoch": 1}
        self.trainer_defaults["callbacks"] = callbacks
        with _told_plainly():
            return super().instantiate_trainer(**kwargs)

    def _go_on_in(self, run: Path) -> None:
        """Take a run's directory for this process alone."""
        self.run = run
        if rank_zero_only.rank == 0:
            self.held.callback(remove_if_never_begun, run)
            self.held.enter_context(only_process(run))
            remove_leftovers(run)

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except Interrupted:
            if self.trainer.is_global_zero:
                log.info(closing_words(self.run, self.trainer, self.saver.best_model_score))
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

    def _watches_a_figure(self) -> bool:
        schedule = self._get(self.config_init, "lr_scheduler")
        return bool(schedule) and issubclass(_class(schedule), ReduceLROnPlateau)

    def after_instantiate_classes(self) -> None:
        """Evaluate the checkpoint's own model, whatever model the configuration describes; compile it if asked to."""
        self._take_checkpoint()
        if self._get(self.config_init, "compile"):
            self.model.compile(dynamic=True)  # in place: unlike torch.compile, it leaves the weights' names alone

    def _take_checkpoint(self) -> None:
        if self.checkpoint is None or self.loaded is None:
            return
        if self.subcommand == "fit":
            build_model(self.loaded, self.checkpoint)  # refuses what it would refuse to sample from
            check_fits(self.model, self.loaded)
            return
        self.model = build_model(self.loaded, self.checkpoint)
        self.model.check_vocabulary(self.datamodule.vocabulary)
        if self.model.max_positions is not None and self.datamodule.context_length > self.model.max_positions:
            raise UserError(
                f"{self.datamodule.path} has lines of {self.datamodule.context_length - 1} characters, the model of "
                f"{self.checkpoint} reads at most {self.model.max_positions - 1}: set --data.max_length"
            )

    def before_validate(self) -> None:
        """Refuse to validate on nothing."""
        self._must_have("validation", "val", len(self.datamodule.split.val))

    def before_test(self) -> None:
        """Refuse to test on nothing."""
        self._must_have("test", "test", len(self.datamodule.split.test))

    def _must_have(self, what: str, side: str, lines: int) -> None:
        if lines > 0:
            return
        data = self.datamodule
        ready_made = data.val_path is not None or data.test_path is not None
        other = "" if ready_made else f", or hold some out with --data.{side}_fraction"
        raise UserError(f"{data.path} has no {what} lines: give some with --data.{side}_path{other}")

    def before_fit(self) -> None:
        """Tell where the run lies, and what is different from the run so far."""
        skip_empty_hooks(self.trainer.callbacks)
        if not self.trainer.is_global_zero:
            return
        if self.checkpoint is None or self.loaded is None:
            log.info(f"new run in {self.run}: {describe(self.model)}")
            return
        log.info(f"going on with {self.checkpoint} at step {self.loaded['global_step']}")
        if not (self.checkpoint.parent / "config.yaml").is_file():
            return
        now = yaml.safe_load(self._parser("fit").dump(self.config["fit"], skip_none=False))
        for change in changes(read_config(self.checkpoint.parent), now):
            log.info(f"  from here on {change}")

    def after_fit(self) -> None:
        """Tell what to do next."""
        if self.trainer.is_global_zero and (self.run / LAST).is_file():
            log.info(closing_words(self.run, self.trainer, self.saver.best_model_score))


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UserError(f"the trainer's options do not go together: {error}") from error


_NOT_FREE = {
    "dirpath": "a run's checkpoints lie in the run; set --trainer.default_root_dir",
    "save_on_train_epoch_end": "checkpoints are written between two steps; set --checkpoint.every_n_train_steps",
}
"""Options of ModelCheckpoint that would do nothing."""


def _stem(config: Namespace) -> str:
    """Name for the runs of a configuration: the first config file's stem, or else the architecture's name."""
    if config.config:
        return Path(str(config.config[0])).stem
    return str(config.model.class_path).rsplit(".", 1)[-1].lower()


def _class(config: Namespace) -> type:
    return import_object(config.class_path)


def _options(config: Namespace) -> dict[str, Any]:
    return dict(config.get("init_args") or {})


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
