"""Where a command's run lies, and which checkpoint it means."""

import logging
from contextlib import suppress
from pathlib import Path

from lightning.fabric.utilities.rank_zero import rank_zero_only

from sequentia.errors import UserError
from sequentia.runs import LAST, best_checkpoint, create_run, find_checkpoint, newest_run

log = logging.getLogger("sequentia")


def place_to_fit(given: str | None, root: Path) -> tuple[Path | None, Path | None]:
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


def new_run(root: Path) -> Path:
    """The directory of a new run."""
    # Other processes of a distributed run write nothing there.
    return create_run(root) if rank_zero_only.rank == 0 else root


def remove_if_never_begun(run: Path) -> None:
    """Remove the directory of a run that never took a step: `--ckpt_path last` shall not mean it."""
    if not (run / "config.yaml").is_file() and not (run / LAST).is_file():
        with suppress(OSError):
            for path in run.glob("events.out.tfevents.*"):  # TensorBoard's, with nothing in it yet
                path.unlink()
            run.rmdir()


def checkpoint_to_evaluate(given: str | None, root: Path) -> Path:
    """The checkpoint that `--ckpt_path` means to `validate` and `test`."""
    if given not in (None, "last", "best"):
        return find_checkpoint(given)
    run = newest_run(root)
    if run is None:
        raise UserError(f"no run under {root} yet: train one with `sequentia fit`, or give --ckpt_path")
    return run / LAST if given == "last" else best_checkpoint(run)
