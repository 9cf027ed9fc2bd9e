"""How checkpoints and config.yaml get onto the disk: whole, or not at all."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from sequentia.errors import UserError

_SUFFIX = ".tmp"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and moves the new one into its place when all of it is on the disk.

    Lightning's own writes to the system's temporary directory, from which moving may mean copying: then a crash leaves
    half a checkpoint where a whole one was.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write it.

        Raises:
            UserError: The file cannot be written; the one before is as it was.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)  # another callback's may lie outside of the run
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends well, and is removed if not.

    Raises:
        UserError: The block, or the move, cannot write.
    """
    temporary = path.with_name(f".{path.name}{_SUFFIX}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        state = "the one before it is intact" if path.exists() else "there is none yet"
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; {state}: make room, or set --trainer.default_root_dir"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(run: Path) -> None:
    """Remove what a process that was killed while it wrote has left in a run."""
    for path in run.glob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)


class SaveConfig(SaveConfigCallback):
    """Writes the run's config.yaml in one move: a reader finds all of it or the one before.

    Args:
        run: The run's directory.
    """

    def __init__(self, *args: Any, run: Path, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.run = run

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing yet: a run that cannot go on with these options keeps those it has."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, whatever the logger."""
        if trainer.is_global_zero and not trainer.fast_dev_run:
            text = self.parser.dump(self.config, skip_none=False)
            with replacing(self.run / "config.yaml") as temporary:
                temporary.write_text(text, encoding="utf-8")
