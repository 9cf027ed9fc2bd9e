"""NGram counts every line once, also if interrupted or distributed, and trusts no checkpoint."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sequentia.cli import main
from sequentia.data.batches import make_batch
from sequentia.data.corpus import Corpus, read_corpus
from sequentia.errors import UserError
from sequentia.inference.batch import Batch
from sequentia.models import NGram
from sequentia.runs.checkpoint import load
from tests.conftest import NAMES
from tests.models.parts.test_kneser_ney import Gram, Oracle, occurrences

LINES = [first + middle + last for first in "bdklm" for middle in "aeiou" for last in ("la", "n", "", "rin", "nna")]


def grams_of(lines: list[str], model: NGram) -> list[Gram]:
    """The longest n-grams of the lines."""
    return occurrences([tuple(model.vocabulary.encode(line).tolist()) for line in lines], model.ngrams.shape[1])


def counted(model: NGram) -> Counter[Gram]:
    """The n-grams of a model in the form of `grams_of`."""
    grams: Counter[Gram] = Counter()
    for row, count in zip(model.ngrams.tolist(), model.counts.tolist(), strict=True):
        context = row[:-1]
        length = context.index(0) + 1 if 0 in context else len(context)
        grams[(*reversed(context[:length]), row[-1])] += count
    return grams


def fitted(corpus: Corpus, order: int | None = None) -> NGram:
    model = NGram(corpus.vocabulary.characters, corpus.longest + 1, order)
    model.count(make_batch(corpus, np.arange(len(corpus))))
    model.merge()
    return model.eval()


@pytest.fixture
def names(write: Callable[..., str]) -> Corpus:
    return read_corpus([write(LINES, "lines.txt")])


@pytest.fixture
def fit(write: Callable[..., str], tmp_path: Path) -> Callable[..., NGram]:
    """Run `sequentia fit` on LINES in batches of twenty; returns the model of last.ckpt."""

    def fit(*options: str) -> NGram:
        arguments = ["--model", "NGram", "--data.path", write(LINES), "--data.batch_size", "20"]
        arguments += ["--data.val_fraction", "0", "--data.test_fraction", "0", "--trainer.accelerator", "cpu"]
        arguments += ["--trainer.max_epochs", "1", "--trainer.default_root_dir", str(tmp_path / "runs"), *options]
        assert main(["fit", *arguments]) == 0
        model = load(max((tmp_path / "runs").glob("version_*/last.ckpt")))
        assert isinstance(model, NGram)
        return model

    return fit


@torch.no_grad()
def test_logits_are_the_oracles_log_probabilities_of_all_tokens(corpus: Corpus) -> None:
    model = fitted(corpus, order=3)
    oracle = Oracle(grams_of(NAMES, model), 3, len(model.vocabulary))
    for line in (*NAMES, "mmm", "zzo"):
        context = (0, *model.vocabulary.encode(line).tolist())
        expected = [
            [math.log(oracle.prob(context[max(0, t - 1) : t + 1], token)) for token in range(oracle.size)]
            for t in range(len(context))
        ]
        found = model(torch.tensor([context]))[0]
        torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-6, atol=1e-6)


def test_an_epoch_counts_every_ngram_once(fit: Callable[..., NGram], tmp_path: Path) -> None:
    model = fit()
    assert counted(model) == Counter(grams_of(LINES, model))
    best = load(tmp_path / "runs" / "version_0" / "best.ckpt")
    assert isinstance(best, NGram)
    assert counted(best) == counted(model)


def test_batches_and_their_order_do_not_change_the_weights(names: Corpus) -> None:
    whole, parts = fitted(names), NGram(names.vocabulary.characters, names.longest + 1)
    for i, lines in enumerate(np.array_split(np.random.default_rng(0).permutation(len(names)), 7)):
        parts.count(make_batch(names, lines))
        if i % 3 == 0:
            parts.merge()
    for name, weight in parts.state_dict().items():
        assert torch.equal(weight, whole.state_dict()[name])


def test_further_epochs_count_nothing_and_max_steps_is_the_number_of_batches_counted(
    fit: Callable[..., NGram],
) -> None:
    assert int(fit("--trainer.max_epochs", "3").counts.sum()) == sum(len(line) + 1 for line in LINES)
    model = fit("--trainer.max_steps", "2")
    lines_counted = int(model.counts[model.ngrams[:, -1] == 0].sum())  # each line ends once
    assert lines_counted == 40
    resumed = fit("--trainer.max_steps", "100", "--ckpt_path", "last")
    assert counted(resumed) == Counter(grams_of(LINES, resumed))


def test_an_interrupted_and_resumed_epoch_ends_with_the_same_weights(
    fit: Callable[..., NGram], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = NGram.training_step

    def killed(self: NGram, batch: Batch) -> None:
        if self.trainer.global_step == 3:
            raise ZeroDivisionError
        step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(NGram, "training_step", killed)
        with pytest.raises(ZeroDivisionError):
            fit("--checkpoint.every_n_train_steps", "2")
    resumed = fit("--checkpoint.every_n_train_steps", "2", "--ckpt_path", "last")
    whole = fit()
    for name, weight in resumed.state_dict().items():
        assert torch.equal(weight, whole.state_dict()[name])


def test_the_chosen_order_grows_while_the_left_out_nll_falls_and_is_logged(
    fit: Callable[..., NGram], names: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fit()
    order, nll = model.tables.order, [float(fitted(names, order).mean_nll()) for order in range(1, 7)]
    assert 2 <= order < 6
    assert all(nll[i] <= nll[i - 1] - 0.001 for i in range(1, order))
    assert nll[order] > nll[order - 1] - 0.001
    assert (
        f"n-gram order {order}, chosen by the leave-one-out NLL of the training lines ({nll[order - 1]:.4f} nats per "
        "character); the option order overrides it"
    ) in capsys.readouterr().err.splitlines()
    assert fit("--model.order", "4").tables.order == 4
    assert "n-gram order" not in capsys.readouterr().err


def test_the_logged_training_loss_is_the_left_out_nll(fit: Callable[..., NGram], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = fit()
    (logged,) = EventAccumulator(str(tmp_path / "runs" / "version_0")).Reload().Scalars("train/loss")
    assert logged.value == pytest.approx(float(model.mean_nll()), rel=1e-6)


def test_order_1_ignores_the_context(corpus: Corpus) -> None:
    model = fitted(corpus, order=1)
    logits = model(torch.tensor([[0, 1, 2, 3]]))
    assert torch.equal(logits, logits[:, :1].expand_as(logits))
    assert model.step(torch.tensor([2]))[1][0].shape == (1, 0)


def test_weights_of_another_shape_are_refused(save_run: Callable[..., Path]) -> None:
    path = save_run(NGram("ab", 4, order=3)) / "best.ckpt"
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["ngrams"] = torch.zeros(3, 4, dtype=torch.int)
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="does not match the architecture NGram"):
        load(path)


@pytest.mark.slow  # starts two processes
def test_two_processes_count_the_same_as_one(names: Corpus, tmp_path: Path, fit: Callable[..., NGram]) -> None:
    import subprocess
    import sys

    whole = fit()
    options = ["--data.path", str(tmp_path / "data.txt"), "--data.val_fraction", "0", "--data.test_fraction", "0"]
    options += ["--data.batch_size", "10", "--trainer.devices", "2", "--trainer.strategy", "ddp"]
    options += ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.default_root_dir", "two"]
    subprocess.run([sys.executable, "-m", "sequentia", "fit", "--model", "NGram", *options], cwd=tmp_path, check=True)
    model = load(tmp_path / "two" / "version_0" / "last.ckpt")
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, whole.state_dict()[name])


def test_a_model_moved_or_copied_keeps_its_probabilities(corpus: Corpus) -> None:
    from copy import deepcopy

    model = fitted(corpus)
    context = torch.tensor([[0, 1, 2, 3]])
    expected = model(context)
    assert torch.equal(deepcopy(model)(context), expected)
    assert torch.equal(model.double()(context), expected)
