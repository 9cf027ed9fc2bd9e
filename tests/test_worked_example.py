"""The bigram worked by hand on names.txt: the same figures must come out of the package's own classes."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sequentia.checkpoint import load_model
from sequentia.cli import main
from sequentia.data import CharDataModule
from sequentia.models import Bigram, BigramCounts
from sequentia.models.base import LanguageModel

ROOT = Path(__file__).parents[1]
SEED = 2147483647
SAMPLES = ["cexze", "momasurailezitynn", "konimittain", "llayn", "ka", "da"]
SAMPLES += ["staiyaubrtthrigotai", "moliellavo", "ke", "teda"]
UNIFORM_SAMPLES = ["cexzm", "zoglkurkicqzktyhwmvmzimjttainrlkfukzkktda", "sfcxvpubjtbhrmgotzx"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the counted run lies."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def data(names_txt: str) -> CharDataModule:
    return CharDataModule(names_txt, val_fraction=0, test_fraction=0, batch_size=1_000_000)


def fit(config: str, names_txt: str, root: Path, *options: str) -> LanguageModel:
    """Train with a configuration on all of names.txt; returns the model of best.ckpt."""
    arguments = ["--config", str(ROOT / "configs" / f"{config}.yaml"), "--data.path", names_txt]
    arguments += ["--data.val_fraction", "0", "--data.test_fraction", "0", "--trainer.accelerator", "cpu"]
    assert main(["fit", *arguments, "--trainer.default_root_dir", str(root), *options]) == 0
    return load_model(root / "version_0" / "best.ckpt")


@pytest.fixture
def counted(run: Path, names_txt: str) -> BigramCounts:
    """The counted model, by configs/bigram_counts.yaml."""
    best = run / "version_0" / "best.ckpt"
    model = load_model(best) if best.is_file() else fit("bigram_counts", names_txt, run)
    assert isinstance(model, BigramCounts)
    return model


@torch.no_grad()
def log_probs(model: LanguageModel, text: str) -> Tensor:
    """Log probability of each character of `text` and of its end."""
    ids = [0, *model.vocabulary.encode(text).tolist(), 0]
    return model(torch.tensor([ids[:-1]]))[0].double().log_softmax(1)[range(len(ids) - 1), ids[1:]]


def test_the_file_has_these_lines_and_characters(data: CharDataModule) -> None:
    lengths = data.corpus.predicted(np.arange(len(data.corpus))) - 1
    assert (len(lengths), lengths.min(), lengths.max()) == (32_033, 2, 15)
    assert data.vocabulary.characters == "abcdefghijklmnopqrstuvwxyz"
    assert len(data.split.train) == 32_033
    assert int((lengths + 1).sum()) == 228_146


def test_the_counts(counted: BigramCounts) -> None:
    assert int(counted.counts.sum()) == 228_146
    assert counted.counts[0, :7].tolist() == [0, 4410, 1306, 1542, 1690, 1531, 417]
    names = "." + counted.vocabulary.characters
    most = counted.counts.flatten().topk(5)
    found = [
        (names[i // 27] + names[i % 27], n) for i, n in zip(most.indices.tolist(), most.values.tolist(), strict=True)
    ]
    assert found == [("n.", 6763), ("a.", 6640), ("an", 5438), (".a", 4410), ("e.", 3983)]


@pytest.mark.parametrize(("smoothing", "nll"), [(0.0, 2.454014), (1.0, 2.454577)])
def test_the_average_nll(counted: BigramCounts, data: CharDataModule, smoothing: float, nll: float) -> None:
    counted.smoothing = smoothing
    assert float(counted.mean_nll()) == pytest.approx(nll, abs=1e-6)
    (batch,) = data.train_dataloader()
    with torch.no_grad():
        assert float(counted.nll_sum(batch)) / batch.total == pytest.approx(nll, abs=1e-5)


def test_the_log_likelihood_of_the_first_three_names(counted: BigramCounts, data: CharDataModule) -> None:
    counted.smoothing = 0.0
    first = [data.corpus.line(i) for i in range(3)]
    assert first == ["emma", "olivia", "ava"]
    assert sum(float(log_probs(counted, name).sum()) for name in first) == pytest.approx(-38.7856, abs=1e-4)


def test_a_name_with_an_unseen_pair(counted: BigramCounts) -> None:
    expected = [-1.9835, -1.8302, -3.2594, -2.5646, -2.0143, -5.9004, -7.9817, -2.3331]
    assert log_probs(counted, "andrejq").tolist() == pytest.approx(expected, abs=1e-4)
    assert float(log_probs(counted, "andrejq").sum()) == pytest.approx(-27.867, abs=1e-3)
    counted.smoothing = 0.0
    assert float(log_probs(counted, "andrejq").sum()) == -math.inf


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_samples_of_the_counted_model(counted: BigramCounts, smoothing: float) -> None:
    counted.smoothing = smoothing
    assert counted.sample(10, seed=SEED, batch_size=1) == SAMPLES


def test_samples_of_the_uniform_table(data: CharDataModule) -> None:
    model = Bigram(data.vocabulary.characters, data.context_length)
    assert model.sample(3, seed=SEED, batch_size=1) == UNIFORM_SAMPLES


@pytest.mark.usefixtures("counted")
def test_the_command_prints_the_ten_samples(run: Path) -> None:
    command = [sys.executable, "-m", "sequentia", "sample", "--ckpt_path", str(run / "version_0")]
    command += ["--seed", str(SEED), "--batch_size", "1", "--num_samples", "10"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == SAMPLES


def test_the_losses_of_gradient_descent(names_txt: str, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit("bigram_gd", names_txt, tmp_path)
    events = EventAccumulator(str(tmp_path / "version_0"))
    events.Reload()
    losses = [event.value for event in events.Scalars("train/loss")]
    assert len(losses) == 200
    assert losses[:3] == pytest.approx([3.758953, 3.371082, 3.154033], abs=1e-4)
    # The first loss is that of step 1.
    assert (losses[99], losses[199]) == pytest.approx((2.472876, 2.462393), abs=1e-4)
