"""`sequentia fit`, `validate` and `test`: what comes of a run, told by its exit code and at most one line."""

import errno
import signal
from contextlib import ExitStack

from jsonargparse import ArgumentError
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.training.cli import TrainingCLI
from sequentia.training.interrupt import Interrupted
from sequentia.training.messages import plain_messages
from sequentia.training.parsing import first_cause
from sequentia.training.saving import SaveConfig

_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def run(name: str, arguments: list[str]) -> int:
    """Run the subcommand; returns the exit code."""
    plain_messages()
    try:
        with ExitStack() as held:
            _train(name, arguments, held)
    except ArgumentError as error:
        raise UserError(first_cause(error)) from error
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


def _train(name: str, arguments: list[str], held: ExitStack) -> None:
    TrainingCLI(
        held,
        LanguageModel,
        CharDataModule,
        subclass_mode_model=True,
        save_config_callback=SaveConfig if name == "fit" else None,
        seed_everything_default=0,
        trainer_defaults={
            "num_sanity_val_steps": 0,
            "enable_model_summary": False,
            "callbacks": [],
            "check_val_every_n_epoch": None,  # validation is counted in steps, however many make an epoch
        },
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        parser_kwargs={"prog": "sequentia", "exit_on_error": False},
        args=[name, *arguments],
    )
