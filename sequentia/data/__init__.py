"""Text file -> corpus -> split -> batches."""

from sequentia.data.batches import Batch, EvalBatches, TrainBatches, make_batch
from sequentia.data.corpus import Corpus, read_corpus
from sequentia.data.module import CharDataModule

__all__ = ["Batch", "CharDataModule", "Corpus", "EvalBatches", "TrainBatches", "make_batch", "read_corpus"]
