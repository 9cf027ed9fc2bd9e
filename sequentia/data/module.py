"""The LightningDataModule: a text file in, batches for training, validation and test out."""

import hashlib
import logging
import math
from functools import cached_property
from typing import get_args

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray

from sequentia.data.batches import EvalBatches, TrainBatches
from sequentia.data.corpus import Corpus, LongLines, read_corpus, too_few_lines
from sequentia.data.hashing import distinct
from sequentia.data.membership import Membership
from sequentia.data.paths import Paths, expand, plain, shown
from sequentia.data.reading import Format, Reading
from sequentia.data.split import Lines, Split, drop_duplicates, split_by_file, split_by_hash
from sequentia.data.summary import log_summary
from sequentia.errors import UserError
from sequentia.inference.model import batch_positions
from sequentia.text import shorten
from sequentia.vocabulary import Vocabulary

_BATCH_CHARACTERS = 2_000  # more make a step slower for little gain, fewer make it mostly overhead
_VOCABULARY = 3_000  # with more characters, most of the time of a step is spent on the logits

log = logging.getLogger(__name__)


def default_batch_size(lengths: NDArray[np.int64], vocabulary: int = 1) -> int:
    """The default number of training lines per step: about 2,000 characters, but at most an eighth of the lines.

    With only a step or two per epoch, a model overfits before the learning rate decays. With a large vocabulary, a step
    has fewer characters, so that it has as many logits as with 3,000: it takes as long, and in the same time more of
    these steps give a lower NLL than fewer large ones.

    Args:
        lengths: Number of predicted characters of each training line, shape `(L,)`.
        vocabulary: Number of characters in the vocabulary.

    Returns:
        A power of two.
    """
    characters = _BATCH_CHARACTERS * min(1.0, _VOCABULARY / vocabulary)
    lines = min(characters / float(lengths.mean()), len(lengths) / 8)
    return 2 ** max(0, round(math.log2(lines)))


class CharDataModule(LightningDataModule):
    """Batches of context and target from a text file with one example per line.

    Args:
        path: Text file with one example per line: a packaged dataset's name (`names`), a file, a URL that fsspec can
            open, or `-` for stdin; decompressed if it is compressed (gzip, bzip2, xz, zip). Or several files: a list,
            or a pattern (`names/*.txt`), whose matches are sorted.
        val_path: File or files with the validation lines. If `val_path` or `test_path` is given, all lines of `path`
            are training lines.
        test_path: File or files with the test lines; see `val_path`.
        column: The column of the examples, if all files are tables (CSV with any usual delimiter, SMILES with names,
            JSON, JSON lines, Parquet): its name in the header, the key of JSON objects, or its number, from 1. Line
            breaks in a cell become spaces, empty cells are blank lines. By default, tables with several columns are
            read as raw lines, with a warning.
        label: The column of the labels of the examples (a country, a gender), given as `column` is; the other column is
            that of the examples if there are only two. Or `filename`: the label of all lines of a file is its name,
            without directory and suffix. By default lines have no labels.
        format: The format of the files. By default it follows from the content of each: tables as above, FASTA,
            whose records are the examples, or lines. `lines` reads any of them as raw lines, `csv` has any
            delimiter, and `smi` is SMILES, whitespace and a name.
        encoding: Encoding of the files: one of Python's, such as `latin-1` or `gb18030`. A byte order mark in a file
            overrides it.
        skip_invalid: Whether to leave out lines with invalid bytes or NUL characters and invalid rows of tables, and
            log how many. By default they are an error.
        batch_size: Training lines per step and process. By default a power of two that makes about 2,000 characters
            (fewer if the vocabulary has more than 3,000), but at most an eighth of the training lines.
        seed: Seed of the split and of the order of the training lines.
        val_fraction: Fraction of the lines held out for validation; 0 holds out none. Ignored if `val_path` or
            `test_path` is given.
        test_fraction: Fraction of the lines held out for test; see `val_fraction`.
        deduplicate: Whether to keep only the first of equal lines in each split.
        max_length: Maximum number of characters per line. By default 256, or 512 or 1024 if that keeps more than a few
            percent more of the first lines.
        long_lines: What becomes of longer lines: `drop` leaves them out, `split` cuts them into pieces of at most
            `max_length` characters. The pieces of a line are in the same split.
        nfc: Whether to normalize the text to Unicode NFC.

    Raises:
        UserError: An option is out of range. The properties read the data, and raise it if that fails.
    """

    def __init__(
        self,
        path: Paths = "names",
        val_path: Paths | None = None,
        test_path: Paths | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        deduplicate: bool = False,
        max_length: int | None = None,
        long_lines: LongLines = "drop",
        nfc: bool = False,
        column: str | int | None = None,
        format: Format | None = None,
        encoding: str = "utf-8",
        skip_invalid: bool = False,
        label: str | int | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (("batch_size", batch_size, 1), ("max_length", max_length, 1), ("seed", seed, 0)):
            if value is not None and value < least:
                raise UserError(f"{name} must be at least {least}, got {value}")
        if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
            raise UserError(
                "val_fraction and test_fraction must be in [0, 1) and sum to less than 1, "
                f"got {val_fraction} and {test_fraction}"
            )
        if long_lines not in get_args(LongLines):
            raise UserError(f"long_lines must be drop or split, got {long_lines!r}")
        self.path, self.val_path, self.test_path = plain(path), plain(val_path), plain(test_path)
        self.reading = Reading(
            None if column is None else str(column),
            format,
            encoding,
            skip_invalid,
            None if label is None else str(label),
        )
        self.seed = seed
        if batch_size is not None:
            self.batch_size = batch_size
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.deduplicate, self.max_length, self.nfc = deduplicate, max_length, nfc
        self.long_lines = long_lines
        self._logged = False

    @property
    def shown_path(self) -> str:
        """`path` for a message: as given, but a long list is shortened."""
        return shown(self.path)

    @cached_property
    def _files(self) -> list[list[str]]:
        """Files of the training, validation and test lines."""
        held_out = [[] if path is None else expand(path) for path in (self.val_path, self.test_path)]
        return [expand(self.path), *held_out]

    @cached_property
    def corpus(self) -> Corpus:
        """All lines, read on first access because the model needs the vocabulary before Lightning calls `setup`."""
        paths = [path for paths in self._files for path in paths]
        corpus = read_corpus(paths, self.reading, max_length=self.max_length, long_lines=self.long_lines, nfc=self.nfc)
        if len(corpus) == 1:
            raise UserError(too_few_lines(shown(paths[0]), 1, corpus.num_long, corpus.max_length))
        return corpus

    @property
    def _ready_made(self) -> bool:
        """Whether the splits are ready-made files, rather than made by hash."""
        return self.val_path is not None or self.test_path is not None

    @cached_property
    def split(self) -> Split:
        """Training, validation and test lines."""
        if self._ready_made:
            split = split_by_file(self.corpus, len(self._files[0]), len(self._files[1]))
        else:
            split = split_by_hash(self.corpus, self.seed, self.val_fraction, self.test_fraction)
        if self.deduplicate:
            split = Split(*(drop_duplicates(self.corpus, lines) for lines in (split.train, split.val, split.test)))
        if len(split.train) == 0:
            raise UserError(
                f"the training split is empty: {self.shown_path} has only {len(distinct(self.corpus.hashes))} "
                "different lines; add lines, or hold out none with val_fraction 0 and test_fraction 0"
            )
        return split

    @cached_property
    def batch_size(self) -> int:
        """Training lines per step and process."""
        return default_batch_size(self.corpus.num_targets(self.split.train), len(self.vocabulary))

    @cached_property
    def train_characters(self) -> int:
        """Predicted characters of all training lines."""
        return int(self.corpus.num_targets(self.split.train).sum())

    @cached_property
    def val_characters(self) -> int:
        """Predicted characters of all validation lines."""
        return int(self.corpus.num_targets(self.split.val).sum())

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The characters of all lines, and how many training lines have each label."""
        vocabulary = self.corpus.vocabulary
        if not vocabulary.labels:
            return vocabulary
        counts = np.bincount(self.corpus.starts(self.split.train), minlength=vocabulary.num_tokens).tolist()
        labels = {label: counts[vocabulary.start(label)] for label in ("", *vocabulary.labels)}
        return Vocabulary(vocabulary.characters, labels)

    @property
    def context_length(self) -> int:
        """Number of positions that the longest line takes: its characters and the boundary that starts it."""
        return self.corpus.longest + 1

    def state_dict(self) -> dict[str, str]:
        """A fingerprint of the lines and their order, which a checkpoint records so that a change is noticed."""
        return {"fingerprint": self._fingerprint}

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.blake2b(np.ascontiguousarray(self.corpus.example_hashes).data, digest_size=16)
        digest.update(str(self.corpus.lines_per_file).encode())
        return digest.hexdigest()

    @cached_property
    def membership(self) -> Membership:
        """Looks up which texts are lines of which split, or nearly so."""
        return Membership(self.corpus, self.split)

    def splits_of(self, texts: list[str]) -> list[str]:
        """The split in which each text is a line: see `Membership.splits_of`."""
        return self.membership.splits_of(texts)

    def setup(self, stage: str) -> None:
        """Read the data, and log a summary of it the first time.

        Raises:
            UserError: The data cannot be read, or the training split is empty.
        """
        if not self._logged:
            self._logged = True
            self._log_summary()

    @rank_zero_only
    def _log_summary(self) -> None:
        files = f" ({len(self._files[0]):,} files)" if len(self._files[0]) > 1 else ""
        log_summary(f"{self.shown_path}{files}", self.corpus, self.split, self.membership, self.batch_size)
        held_out = {"validation": (self.split.val, self.val_fraction), "test": (self.split.test, self.test_fraction)}
        for name, (lines, fraction) in held_out.items():
            if len(lines) == 0 and fraction > 0 and not self._ready_made:
                log.warning(f"the {name} split is empty: too few lines")
        counts = zip(self.vocabulary.labels, self.vocabulary.label_counts[1:].tolist(), strict=True)
        if unseen := [label for label, count in counts if count == 0]:
            log.warning(f"labels of no training line, which cannot be learned: {shorten(', '.join(unseen), 100)}")

    def train_dataloader(self) -> TrainBatches:
        """Training batches, starting at the trainer's current position."""
        rank, world_size = self._rank_and_world_size()
        return TrainBatches(self.corpus, self.split.train, self.batch_size, self.seed, rank, world_size, self._progress)

    def val_dataloader(self) -> EvalBatches | list[EvalBatches]:
        """Validation batches; an empty list if the validation split is empty."""
        return self._eval_batches(self.split.val)

    def test_dataloader(self) -> EvalBatches | list[EvalBatches]:
        """Test batches; an empty list if the test split is empty."""
        return self._eval_batches(self.split.test)

    def _eval_batches(self, lines: Lines) -> EvalBatches | list[EvalBatches]:
        return self.eval_batches(lines, *self._rank_and_world_size()) if len(lines) else []

    def eval_batches(self, lines: Lines, rank: int = 0, world_size: int = 1) -> EvalBatches:
        """The batches in which any lines of the corpus are evaluated; see `EvalBatches`."""
        batch_size = max(1, batch_positions(len(self.vocabulary)) // self.context_length)
        return EvalBatches(self.corpus, lines, batch_size, rank, world_size)

    def _rank_and_world_size(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _progress(self) -> tuple[int, int]:
        """The current epoch and the number of its batches already done, from Lightning's counters in the checkpoint."""
        if not self.trainer:
            return 0, 0
        loop = self.trainer.fit_loop
        # `overfit_batches` trains on the same batches in every epoch.
        epoch = 0 if self.trainer.overfit_batches else loop.epoch_progress.current.processed
        return epoch, loop.epoch_loop.batch_progress.current.completed
