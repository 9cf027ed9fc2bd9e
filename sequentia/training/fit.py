"""The command `fit` on LightningCLI."""

import logging
from functools import partial
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name
from traceback import extract_tb
from typing import Any, ClassVar

import torch
from jsonargparse import Namespace
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from sequentia.errors import UserError
from sequentia.files import remove_leftovers
from sequentia.models import LanguageModel
from sequentia.models.counting import counts
from sequentia.runs.checkpoint import build_model, load
from sequentia.runs.directory import ROOT, create_run, find_checkpoint, locked, remove_if_never_begun, run_to_fit
from sequentia.runs.trust import foreign_classes
from sequentia.training.cli import TrainingCLI, plain_errors
from sequentia.training.logs.messages import closing_message
from sequentia.training.logs.metrics_file import MetricsFile
from sequentia.training.logs.samples import LogBaselines, Samples
from sequentia.training.logs.tensorboard import RunTensorBoard, TensorBoardSummary
from sequentia.training.loop.budget import Budget
from sequentia.training.loop.checkpointing import AtomicCheckpointIO, BestCheckpoint
from sequentia.training.loop.finetuning import initialize, slower_hidden
from sequentia.training.loop.length import LogLength, set_length
from sequentia.training.loop.processes import slurm_without_requeue
from sequentia.training.loop.resume import LEAK, ExactResume, check_fits, check_unfinished, has_changed, not_restored
from sequentia.training.loop.stopping import Interrupted, StopOnSignal, StopWhenDiverged
from sequentia.training.options import as_list

log = logging.getLogger("sequentia")


class FitCLI(TrainingCLI):
    """Starts a run in `checkpoints/<config stem>/version_N`, or resumes one."""

    not_options: ClassVar = {"train_dataloaders", "val_dataloaders"}
    run: Path | None = None  # the run directory
    init_from: tuple[Path, LanguageModel] | None = None  # the checkpoint that a new run starts from, and its model
    initialized = ""  # what of it was copied

    def find_run(self) -> Path | None:
        """The run of `--ckpt_path`; None to start a new one."""
        given = self.given.ckpt_path
        root = self.given.root or ROOT
        self.run, self.checkpoint = run_to_fit(given, root)
        return self.run if self.checkpoint is None else self.checkpoint.parent

    def base_options(self) -> dict[str, Any]:
        """Everything that the run recorded, so that it resumes as it was started."""
        return {key: value for key, value in (self.recorded or {}).items() if key != "ckpt_path"}

    def before_instantiate_classes(self) -> None:
        """Load the model to start from, and lock the run, before anything slow is done."""
        super().before_instantiate_classes()
        # Otherwise the option only records what the run was initialized from.
        if self.options.init_from is not None and self.checkpoint is None:
            path = find_checkpoint(self.options.init_from)
            self.init_from = path, load(path, trust=self.given.trust)
        if self.run is not None:
            self._lock(self.run)

    def complete_trainer(self, config: Namespace, samples: Samples) -> tuple[list[Callback], dict[str, Any]]:
        """Set the optimizer, fix the length, and create the run directory."""
        self._set_optimizer()
        self.saver: BestCheckpoint = self.instances["checkpoint"]
        last = self.saver.last
        length = self._set_length(config)
        if self.loaded is not None:
            check_unfinished(config, self.loaded, str(self.checkpoint), self.model.single_epoch)
        if self.run is None:  # created this late because by now options and data are known to be valid
            root = Path(config["default_root_dir"])
            self.run = create_run(root) if rank_zero_only.rank == 0 else root
            self._lock(self.run)
        self.saver.dirpath = str(self.run.resolve())
        self.save_config_kwargs["run"] = self.run
        self.resume = ExactResume(int(self.instances["seed_everything"]))
        callbacks = [length, StopWhenDiverged(last), self.resume, StopOnSignal(last)]
        if self.instances["extra_metrics"]:
            callbacks += [samples, LogBaselines(), TensorBoardSummary(self.run)]
        plugins = [*as_list(config["plugins"]), AtomicCheckpointIO(), *slurm_without_requeue()]
        step = 0 if self.loaded is None else int(self.loaded["global_step"])
        loggers = [*self._loggers(config, self.run, step), MetricsFile(self.run, step)]
        return [*callbacks, last], {"plugins": plugins, "logger": loggers}

    def _loggers(self, config: Namespace, run: Path, step: int) -> list[Logger]:
        """The loggers of `--trainer.logger`; by default TensorBoard, with its files in the run directory."""
        if config["logger"] not in (None, True):
            return as_list(config["logger"] or None)
        return [RunTensorBoard(run, purge_step=step)]

    def _set_length(self, config: Namespace) -> Callback:
        """Complete the options that decide how long the run is; config.yaml records them.

        Returns:
            What logs the length, or decides it during the run.
        """
        limit = config["max_time"]
        given = config["max_steps"] != -1 or config["max_epochs"] not in (None, -1)
        timed = limit is not None and not (given or config["fast_dev_run"] or self.model.single_epoch)
        with plain_errors():
            set_length(config, self.datamodule, self._validates_each_epoch(), timed)
        for name in ("log_every_n_steps", "check_val_every_n_epoch"):
            self.options["trainer"][name] = config[name]
        if timed:
            config["max_time"] = None
            drawn = self.instances["extra_metrics"] and config["logger"] in (None, True)
            return Budget(limit, self.started, self.options["trainer"], self.saver.last, drawn)
        for name in ("max_steps", "val_check_interval"):
            self.options["trainer"][name] = config[name]
        return LogLength()

    def _lock(self, run: Path) -> None:
        """Keep other processes from writing to the run."""
        if rank_zero_only.rank == 0:
            self.held.callback(remove_if_never_begun, run)
            self.held.enter_context(locked(run))
            remove_leftovers(run)

    def _set_optimizer(self) -> None:
        optimizer, schedule = self.instances["optimizer"], self.instances["lr_scheduler"]
        self.model.lr_scheduler_interval = self.instances["lr_scheduler_interval"]
        if optimizer:
            self.model.optimizer = partial(resolve_name(optimizer.class_path), **_init_args(optimizer))
        if self.options.init_from is not None:  # also when such a run is resumed
            self.model.optimizer = slower_hidden(self.model.optimizer)
        self.model.lr_scheduler = (
            partial(resolve_name(schedule.class_path), **_init_args(schedule)) if schedule else None
        )

    def _validates_each_epoch(self) -> bool:
        """Whether the schedule reads a metric after each epoch, or the model is complete only then."""
        schedule = self.instances["lr_scheduler"]
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
        return self.model.single_epoch or (bool(schedule) and issubclass(resolve_name(schedule.class_path), plateau))

    def after_instantiate_classes(self) -> None:
        """Check the checkpoint against the options and the data, or copy the weights to start from."""
        if self.checkpoint is not None and self.loaded is not None:
            build_model(self.loaded, self.checkpoint, self.given.trust)  # refuses what sampling would refuse
            if changed := self.changed_data():
                raise UserError(f"{changed}: restore it, or train on the new lines with --data.path")
            check_fits(self.model, self.loaded)
        if self.init_from is not None:
            path, trained = self.init_from
            self.initialized = initialize(self.model, trained, path)
        super().after_instantiate_classes()

    def before_fit(self) -> None:
        """Log where the run is saved, and what has changed since it was started.

        Raises:
            UserError: The run cannot be resumed.
        """
        reason = not_restored(self.trainer)
        if reason is not None and self.checkpoint is not None:
            raise UserError(
                f"cannot resume {self.checkpoint}: {reason}; start a new run from its weights with --init_from"
            )
        if not self.trainer.is_global_zero:
            return
        if self.checkpoint is None or self.loaded is None:
            log.info(f"starting run {self.run}: {self.model.describe()}")
            if self.initialized:
                log.info(self.initialized)
            if reason is not None:
                log.warning(f"this run cannot be resumed: {reason}")
            return
        log.info(f"resuming {self.checkpoint} at step {self.loaded['global_step']}")
        if self.recorded is not None:
            self.log_changes(self.plain_options)
        schedule = self.options["lr_scheduler"]
        extended = self.base.get("trainer", {}).get("max_steps") != self.options["trainer"]["max_steps"]
        uses_gradients = self.model.automatic_optimization
        uses_schedule = schedule and uses_gradients
        if extended and uses_schedule and "total_steps" in signature(resolve_name(schedule.class_path)).parameters:
            log.info("  the learning-rate schedule follows the new length")
        if has_changed(self.datamodule, self.loaded):
            log.info(f"  the lines of {self.datamodule.shown_path} changed: {LEAK}")
            if uses_gradients and counts(self.model):
                log.info("  what was counted on the old lines stays")

    def fit(self, **kwargs: Any) -> None:
        """Train. LightningCLI calls this in place of `Trainer.fit`.

        Raises:
            UserError: The training state of the checkpoint is damaged or does not fit the options.
            Interrupted: A signal stopped the run.
        """
        kwargs |= {"ckpt_path": self.checkpoint, "weights_only": True}
        try:
            self.trainer.fit(**kwargs)
        except Interrupted:
            self._log_closing()
            raise
        except (UserError, OSError, MisconfigurationException, torch.OutOfMemoryError):
            raise
        except ImportError as error:
            raise UserError(f"a trainer option needs a package that is not installed: {error}") from error
        except Exception as error:
            if self.resume.under_way:
                raise
            if self.checkpoint is None:
                if _is_of_optimizer(error):
                    raise UserError(f"the optimizer cannot train this model: {error}; see --optimizer") from error
                raise
            raise UserError(
                f"cannot resume {self.checkpoint}: its training state is damaged or does not fit these options "
                f"({type(error).__name__}: {str(error)[:150]}); start a new run, or give another --ckpt_path"
            ) from error
        self._log_closing()

    def _log_closing(self) -> None:
        if self.trainer.is_global_zero and self.run is not None:
            timed = self.options.trainer.max_time is not None
            modules = dict.fromkeys(name.rpartition(".")[0] for name in foreign_classes(self.plain_options))
            trust = "".join(f" --trust {module}" for module in modules)
            log.info(closing_message(self.run, self.trainer, self.saver, timed, trust))


def _init_args(config: Namespace) -> dict[str, Any]:
    return dict(config.get("init_args") or {})


def _is_of_optimizer(error: Exception) -> bool:
    """Whether the optimizer itself raised an error, not the model whose gradients it needed."""
    names = {frame.name for frame in extract_tb(error.__traceback__)}
    return "optimizer_step" in names and not names & {"training_step", "backward"}
