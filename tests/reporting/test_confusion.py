"""The confusion matrix counts what `classify` says, and shows every line."""

import io
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.evaluation.baselines import counted
from sequentia.models import GRU, NGram
from sequentia.reporting.confusion import confusion, draw_confusion


def labelled(write: Callable[..., str], labels: list[str]) -> CharDataModule:
    """Lines whose lengths depend on the label."""
    rows = "".join(f"{text * (1 + k % 3)},{label}\n" for k, label in enumerate(labels) for text in ("ab", "ba", "aab"))
    train, val = write(f"text,label\n{rows}".encode(), "t.csv"), write(f"text,label\n{rows}abb,\n".encode(), "v.csv")
    return CharDataModule(train, val, val, column="text", label="label")


def test_a_cell_counts_the_lines_of_a_label_with_a_most_probable_label(write: Callable[..., str]) -> None:
    data = labelled(write, ["Czech $", "日本", "Irish"])
    model = counted(NGram, data)
    lines = data.split.val.tolist()
    starts = data.corpus.starts(np.array(lines)).tolist()
    own = [data.vocabulary.label(start) for start in starts]
    most_probable = [next(iter(each)) for each in model.classify([data.corpus.line(i) for i in lines])]
    pairs = Counter(zip(own, most_probable, strict=True))
    names = data.vocabulary.labels
    expected = torch.tensor([[pairs[a, b] for b in names] for a in names])
    assert torch.equal(confusion(model, data, "val"), expected)
    figure = draw_confusion(model, data, "val")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["Czech $", "Irish", "65E5672C"]
    assert figure.axes[0].get_yticklabels()[0].get_text() == "Czech $ (3)"
    assert f"labels of 9 validation lines, {expected.diag().sum() / 9:.1%} right" in figure.axes[0].get_title()
    assert figure.axes[0].texts[1].get_text() == f"{100 * expected[0, 1] / 3:.0f}"
    figure.savefig(io.BytesIO())  # a missing glyph would be a warning


def test_many_labels_are_drawn_as_the_most_frequent_ones_and_the_others(write: Callable[..., str]) -> None:
    rare = [f"r{k:02}" for k in range(10)]
    data = labelled(write, [*rare, *[f"f{k:02}" for k in range(40)] * 2])
    figure = draw_confusion(GRU.for_data(data, n_hidden=4), data)
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert ticks == [*(f"f{k:02} (6)" for k in range(40)), "10 others (30)"]
    assert len(figure.axes[0].texts) == 0
    (image,) = figure.axes[0].images
    assert np.asarray(image.get_array()).sum(1).tolist() == pytest.approx([1] * 41)


def test_a_model_without_labels_has_no_confusion_matrix(write: Callable[..., str]) -> None:
    lines = write(["ab", "ba"])
    data = CharDataModule(lines, test_path=lines)
    with pytest.raises(UserError, match="the model has no labels: train it on lines with labels"):
        draw_confusion(GRU.for_data(data, n_hidden=4), data)
