"""Metrics: torchmetrics classes that add up over batches and processes, each a thin shell around a pure function."""

from sequentia.metrics.likelihood import CharacterAccuracy, CharacterNLL, bits_per_char, perplexity

__all__ = ["CharacterAccuracy", "CharacterNLL", "bits_per_char", "perplexity"]
