"""Text file -> corpus -> split -> batches."""

from sequentia.data.batches import EvalBatches, TrainBatches, make_batch
from sequentia.data.corpus import Corpus, read_corpus
from sequentia.data.module import CharDataModule

__all__ = ["CharDataModule", "Corpus", "EvalBatches", "TrainBatches", "make_batch", "read_corpus"]
