"""The metrics of labels, against `classify` and counts by hand; the metrics of texts do not depend on labels."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sequentia.data import CharDataModule
from sequentia.evaluation.baselines import baselines, counted
from sequentia.evaluation.evaluate import evaluate
from sequentia.evaluation.metrics import Measurement
from sequentia.evaluation.samples import SampleQuality
from sequentia.models import ARCHITECTURES, GRU, BigramCounts

LABELS = {"F": ["ana", "ina", "anna", "nia"], "M": ["ian", "inn", "nn"], "": ["ai"]}
LINES = [(label, text) for label, texts in LABELS.items() for text in texts]


def table(lines: list[tuple[str, str]]) -> bytes:
    return "".join(["text,label\n", *(f"{text},{label}\n" for label, text in lines)]).encode()


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    held_out = [("F", "aia"), ("M", "nin"), ("F", "nan"), ("", "nana"), ("M", "iai")]
    test, val = write(table(held_out), "test.csv"), write(table(LINES * 40), "val.csv")
    return CharDataModule(write(table(LINES), "train.csv"), val, test, column="text", label="label")


def expected(data: CharDataModule, probabilities: list[dict[str, float]], lines: list[int]) -> dict[str, float]:
    """Both metrics of held-out lines, from the probabilities of their labels, the most probable first."""
    labels = [data.vocabulary.label(start) for start in data.corpus.starts(np.array(lines)).tolist()]
    found = [(label, each) for label, each in zip(labels, probabilities, strict=True) if label]
    return {
        "accuracy": sum(next(iter(each)) == label for label, each in found) / len(found),
        "log_loss": -sum(math.log(each[label]) for label, each in found) / len(found),
    }


@pytest.mark.parametrize("architecture", ["GRU", "NGram", "Transformer"])
def test_the_metrics_of_labels_are_those_of_classify(data: CharDataModule, architecture: str) -> None:
    torch.manual_seed(1)
    model = ARCHITECTURES[architecture].for_data(data)
    for split in ("val", "test"):
        lines = getattr(data.split, split).tolist()
        values = expected(data, model.classify([data.corpus.line(i) for i in lines]), lines)
        found = evaluate(model, data, split, num_samples=0)
        assert found[f"{split}/label_accuracy"] == values["accuracy"]
        assert found[f"{split}/label_log_loss"] == pytest.approx(values["log_loss"], abs=1e-5)


def test_the_metrics_of_labels_equal_those_of_counts_by_hand(data: CharDataModule) -> None:
    model = counted(BigramCounts, data)
    probabilities = []
    for text in (data.corpus.line(i) for i in data.split.test):
        # Only the first pair depends on the label: 4 lines of F, 3 of M; V = 4, smoothing 1.
        joint = {}
        for label, size in (("F", 4), ("M", 3)):
            joint[label] = size * (1 + sum(line[0] == text[0] for line in LABELS[label])) / (size + 4)
        ranked = sorted(joint, key=lambda label: -joint[label])
        probabilities.append({label: joint[label] / sum(joint.values()) for label in ranked})
    values = expected(data, probabilities, data.split.test.tolist())
    found = evaluate(model, data, num_samples=0)
    assert found["test/label_accuracy"] == values["accuracy"]
    assert found["test/label_log_loss"] == pytest.approx(values["log_loss"], abs=1e-6)
    assert found["test/loss"] == pytest.approx(baselines(data, "test")["bigram_counts"], abs=1e-6)


def test_a_part_of_many_lines_is_enough(data: CharDataModule) -> None:
    model = GRU.for_data(data, n_hidden=4).eval()
    counts = []
    for pairs in (10**6, 160):  # of 320 lines and 2 labels
        measurement = Measurement(model, data, "val", num_samples=0, label_pairs=pairs)
        for batch in data.eval_batches(data.split.val):
            measurement.update(batch)
        counts.append(int(measurement.label_accuracy.weight))
    assert counts[0] == 280
    assert 35 < counts[1] < 105  # a quarter of them


def test_the_metrics_of_samples_do_not_depend_on_labels(data: CharDataModule, write: Callable[..., str]) -> None:
    texts = [text for _, text in LINES]
    plain = CharDataModule(write(texts), write(texts * 40, "val.txt"), write(texts[:1], "test.txt"))
    both = [SampleQuality(["ana", "ian", "nina"], each, "val") for each in (data, plain)]
    for name in ("splits", "unique", "near_copies", "length_distance", "bigram_divergence"):
        assert getattr(both[0], name) == getattr(both[1], name), name
