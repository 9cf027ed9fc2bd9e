"""The LightningDataModule: a text file in, batches for training, validation and test out."""

import logging
import math
from functools import cached_property, partial
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray

from sequentia.data.batches import EvalBatches, TrainBatches
from sequentia.data.cache import cached
from sequentia.data.corpus import Corpus, read_corpus
from sequentia.data.hashing import hash_texts
from sequentia.data.split import Split, distinct, split_by_file, split_by_hash
from sequentia.errors import UserError
from sequentia.vocabulary import Vocabulary

_BATCH_CHARACTERS = 2_000  # of a step: more make it slower for little, fewer leave it to overhead
_EVAL_POSITIONS = 16_384  # positions an evaluation batch may take: bounds its memory, whatever the data

log = logging.getLogger(__name__)


def usual_batch_size(lengths: NDArray[np.int64]) -> int:
    """Training lines a step unless given: about 2,000 characters, but an eighth of the lines at the most.

    So few lines that an epoch is a step or two would be learnt by heart before the rate has come down.

    Args:
        lengths: Predicted characters of the training lines, shape `(L,)`.

    Returns:
        A power of two.
    """
    lines = min(_BATCH_CHARACTERS / float(lengths.mean()), len(lengths) / 8)
    return 2 ** max(0, round(math.log2(lines)))


class CharDataModule(LightningDataModule):
    """Context and target tensors from a text file with one example a line.

    Args:
        path: A packaged data set's name (`names`), a text file, or any URL that fsspec knows; compressed if its name
            says so (.gz, .bz2, .xz, .zip).
        val_path: Ready-made validation lines. With `val_path` or `test_path`, `path` is training data alone.
        test_path: Ready-made test lines.
        batch_size: Training lines a step and process; what `usual_batch_size` says unless given.
        seed: Seed of the split and of the order of the batches.
        val_fraction: Share of the lines held out for validation; 0 holds none out. With ready-made lines it means
            nothing.
        test_fraction: Share of the lines held out for test; likewise.
        deduplicate: Keep only the first of equal lines.
        max_length: Longer lines are left out, counted and reported, so that one freak line cannot set the context
            length. Unless given it is 256 characters, or 512 or 1024 where most of the first lines are longer.
        nfc: Bring the text to Unicode's normal form C.

    Raises:
        UserError: An option is out of its range. The properties read the data and raise it where that fails.
    """

    def __init__(
        self,
        path: str = "names",
        val_path: str | None = None,
        test_path: str | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        deduplicate: bool = False,
        max_length: int | None = None,
        nfc: bool = False,
    ) -> None:
        super().__init__()
        for name, value, least in (("batch_size", batch_size, 1), ("max_length", max_length, 1), ("seed", seed, 0)):
            if value is not None and value < least:
                raise UserError(f"data.{name} must be at least {least}, got {value}")
        if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
            raise UserError(
                "data.val_fraction and data.test_fraction must lie in [0, 1) and leave a share for training, "
                f"got {val_fraction} and {test_fraction}"
            )
        self.path, self.val_path, self.test_path = path, val_path, test_path
        self.seed = seed
        if batch_size is not None:
            self.batch_size = batch_size
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.deduplicate, self.max_length, self.nfc = deduplicate, max_length, nfc
        self._told = False

    @cached_property
    def corpus(self) -> Corpus:
        """All lines, read when first asked for: the model needs the vocabulary before Lightning calls `setup`."""
        paths = [path for path in (self.path, self.val_path, self.test_path) if path is not None]
        options: dict[str, Any] = {"max_length": self.max_length, "nfc": self.nfc}
        corpus = cached(paths, options, partial(read_corpus, paths, **options))
        if len(corpus) == 1:
            raise UserError(f"{self.path} has only one line: there is nothing to learn from; give at least two")
        return corpus

    @cached_property
    def split(self) -> Split:
        """Training, validation and test lines."""
        if self.val_path is None and self.test_path is None:
            split = split_by_hash(self.corpus, self.seed, self.val_fraction, self.test_fraction)
        else:
            split = split_by_file(self.corpus, self.val_path is not None, self.test_path is not None)
        if self.deduplicate:
            split = Split(*(distinct(self.corpus, lines) for lines in (split.train, split.val, split.test)))
        if len(split.train) == 0:
            raise UserError(
                f"no line of {self.path} is left for training: it has {len(self.corpus)} lines; "
                "give more, or hold none out with --data.val_fraction 0 --data.test_fraction 0"
            )
        return split

    @cached_property
    def batch_size(self) -> int:
        """Training lines a step and process."""
        return usual_batch_size(self.corpus.predicted(self.split.train))

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters of all lines."""
        return self.corpus.vocabulary

    @property
    def context_length(self) -> int:
        """Positions that the longest line takes: its characters and the boundary that starts it."""
        return self.corpus.longest + 1

    def sides(self, texts: list[str]) -> list[str]:
        """For each text "train", "val" or "test" if it is a line of that side (in this order), else "new"."""
        found = np.full(len(texts), "new", dtype="<U5")
        kept = [i for i, text in enumerate(texts) if text]
        hashes = hash_texts([texts[i] for i in kept])
        for side in ("test", "val", "train"):
            lines = getattr(self.split, side)
            found[np.array(kept, int)[np.isin(hashes, self.corpus.hashes[lines])]] = side
        return found.tolist()

    def setup(self, stage: str) -> None:
        """Read the data, and tell once what is in it.

        Raises:
            UserError: The data cannot be read, or no line is left for training.
        """
        if not self._told:
            self._told = True
            self._tell()

    @rank_zero_only
    def _tell(self) -> None:
        corpus, split = self.corpus, self.split
        log.info(
            f"data {self.path}: {len(corpus):,} lines ({len(np.unique(corpus.hashes)):,} distinct), "
            f"{corpus.characters:,} characters, longest line {corpus.longest}, "
            f"vocabulary {len(corpus.vocabulary)} with the boundary; "
            f"train {len(split.train):,}, val {len(split.val):,}, test {len(split.test):,}; "
            f"batches of {self.batch_size:,} lines"
        )
        if corpus.blank or corpus.long:
            log.info(
                f"left out: {corpus.blank:,} blank lines, "
                f"{corpus.long:,} longer than data.max_length {corpus.max_length}"
            )
        for name, lines, wanted in (
            ("validation", split.val, self.val_fraction),
            ("test", split.test, self.test_fraction),
        ):
            if len(lines) == 0 and wanted > 0 and self.val_path is None and self.test_path is None:
                log.warning(f"so few lines that none fell to {name}")
        shared = 0 if self.val_path is None and self.test_path is None else self._shared()
        if shared:
            log.warning(f"{shared:,} distinct lines stand on two sides of the ready-made split: figures are too good")

    def _shared(self) -> int:
        """Number of distinct lines that stand on two sides or more; by hash there are none."""
        hashes = self.corpus.hashes
        sides = [np.unique(hashes[lines]) for lines in (self.split.train, self.split.val, self.split.test)]
        _, counts = np.unique(np.concatenate(sides), return_counts=True)
        return int((counts > 1).sum())

    def train_dataloader(self) -> TrainBatches:
        """Training batches, from the place where the trainer stands."""
        rank, world_size = self._process()
        return TrainBatches(self.corpus, self.split.train, self.batch_size, self.seed, rank, world_size, self._progress)

    def val_dataloader(self) -> EvalBatches | list[EvalBatches]:
        """Validation batches; none where no line is held out."""
        return self._eval_batches(self.split.val)

    def test_dataloader(self) -> EvalBatches | list[EvalBatches]:
        """Test batches; none where no line is held out."""
        return self._eval_batches(self.split.test)

    def _eval_batches(self, lines: np.ndarray) -> EvalBatches | list[EvalBatches]:
        if len(lines) == 0:
            return []
        return EvalBatches(self.corpus, lines, max(1, _EVAL_POSITIONS // self.context_length), *self._process())

    def _process(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _progress(self) -> tuple[int, int]:
        """Epoch, and batches of it already done: Lightning's own counters, which checkpoints hold."""
        if not self.trainer:
            return 0, 0
        loop = self.trainer.fit_loop
        # With `overfit_batches` the same batches again and again.
        epoch = 0 if self.trainer.overfit_batches else loop.epoch_progress.current.processed
        return epoch, loop.epoch_loop.batch_progress.current.completed
