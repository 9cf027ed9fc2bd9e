"""The bigram worked by hand: the package's classes and commands must give the same numbers.

On the packaged names, everywhere: counts, NLL, gradient descent and samples are computed here a second time, in plain
Python and NumPy, and compared.

On makemore's names.txt: the numbers that Karpathy's lecture prints for it. They are for exactly that file, the 32,033
names of the Social Security Administration's first publication. It is not part of the project, which ships a later
revision; the tests read it from ../shared/data/names.txt, relative to the project, and are skipped without it.
"""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from sequentia.cli import main
from sequentia.data import CharDataModule
from sequentia.models import Bigram, BigramCounts
from sequentia.models.base import LanguageModel
from sequentia.runs.checkpoint import load
from tests.conftest import CommandResult

ROOT = Path(__file__).parents[2]
SEED = 2147483647
SAMPLES = ["cexze", "momasurailezitynn", "konimittain", "llayn", "ka", "da"]
SAMPLES += ["staiyaubrtthrigotai", "moliellavo", "ke", "teda"]
UNIFORM_SAMPLES = ["cexzm", "zoglkurkicqzktyhwmvmzimjttainrlkfukzkktda", "sfcxvpubjtbhrmgotzx"]


def whole(path: str) -> CharDataModule:
    """All lines of a file in one training batch."""
    return CharDataModule(path, val_fraction=0, test_fraction=0, batch_size=1_000_000)


def fit(config: str, path: str, root: Path, *options: str) -> Path:
    """Train with a config on all lines of a file; returns the run directory."""
    arguments = ["--config", str(ROOT / "configs" / f"{config}.yaml"), "--data.path", path]
    arguments += ["--data.val_fraction", "0", "--data.test_fraction", "0", "--trainer.accelerator", "cpu"]
    assert main(["fit", *arguments, "--trainer.default_root_dir", str(root), *options]) == 0
    return root / "version_0"


def counted_in(run: Path) -> BigramCounts:
    """The model of a run of configs/bigram_counts.yaml."""
    model = load(run)
    assert isinstance(model, BigramCounts)
    return model


def logged_losses(run: Path) -> list[float]:
    """The training loss of each step."""
    events = EventAccumulator(str(run))
    events.Reload()
    return [event.value for event in events.Scalars("train/loss")]


@torch.no_grad()
def batch_nll(model: LanguageModel, data: CharDataModule) -> float:
    """Mean NLL of all lines, by the model's own forward pass."""
    (batch,) = data.train_dataloader()
    return float(model.nll_sum(batch)) / batch.total


@torch.no_grad()
def log_probs(model: LanguageModel, text: str) -> Tensor:
    """Log probability of each character of `text` and of its end."""
    ids = [0, *model.vocabulary.encode(text).tolist(), 0]
    return model(torch.tensor([ids[:-1]]))[0].double().log_softmax(1)[range(len(ids) - 1), ids[1:]]


@pytest.fixture(scope="module")
def packaged_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit("bigram_counts", "names", tmp_path_factory.mktemp("packaged"))


@pytest.fixture(scope="module")
def names_txt_run(names_txt: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit("bigram_counts", names_txt, tmp_path_factory.mktemp("names_txt"))


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """The packaged names."""
    table = (ROOT / "sequentia" / "datasets" / "us-first-names-2018.csv").read_text().split()
    return [row.partition(",")[0] for row in table[1:]]


@pytest.fixture(scope="module")
def pairs(lines: list[str]) -> Counter[str]:
    """Number of occurrences of each pair in the packaged names; the boundary is shown as `.`."""
    return Counter(f".{line}."[i : i + 2] for line in lines for i in range(len(line) + 1))


@pytest.fixture(scope="module")
def characters(lines: list[str]) -> str:
    """The boundary and all characters of the packaged names, in the order of their ids."""
    return "." + "".join(sorted(set("".join(lines))))


@pytest.fixture(scope="module")
def table(pairs: Counter[str], characters: str) -> list[list[int]]:
    """The pairs' counts; the row is the first character."""
    return [[pairs[a + b] for b in characters] for a in characters]


class TestPackagedNames:
    """The package's results on its own dataset equal those of plain Python and NumPy."""

    @pytest.fixture
    def counted(self, packaged_run: Path) -> BigramCounts:
        return counted_in(packaged_run)

    def test_lines_and_vocabulary_are_those_of_the_file(self, lines: list[str], characters: str) -> None:
        data = whole("names")
        assert [data.corpus.line(i) for i in range(len(data.corpus))] == lines
        assert "." + data.vocabulary.characters == characters
        assert data.corpus.num_targets(np.arange(len(lines))).tolist() == [len(line) + 1 for line in lines]

    def test_counts_are_those_of_plain_python(
        self, counted: BigramCounts, table: list[list[int]], lines: list[str]
    ) -> None:
        assert counted.counts.tolist() == table
        assert int(counted.counts.sum()) == sum(len(line) + 1 for line in lines)

    @pytest.mark.parametrize("smoothing", [0.0, 1.0])
    def test_the_mean_nll_is_that_of_plain_python(
        self, counted: BigramCounts, pairs: Counter[str], characters: str, smoothing: float
    ) -> None:
        first = {
            a: sum(n for pair, n in pairs.items() if pair[0] == a) + smoothing * len(characters) for a in characters
        }
        nll = -math.fsum(n * math.log((n + smoothing) / first[pair[0]]) for pair, n in pairs.items()) / pairs.total()
        counted.smoothing = smoothing
        assert float(counted.mean_nll()) == pytest.approx(nll, abs=1e-6)
        assert batch_nll(counted, whole("names")) == pytest.approx(nll, abs=1e-5)

    @pytest.mark.parametrize("smoothing", [0.0, 1.0])
    def test_samples_are_those_of_a_loop_over_multinomial(
        self, counted: BigramCounts, table: list[list[int]], characters: str, smoothing: float
    ) -> None:
        counts = torch.tensor(table) + smoothing
        probabilities = counts / counts.sum(1, keepdim=True)
        generator = torch.Generator().manual_seed(SEED)
        expected = []
        for _ in range(10):
            text, token = "", 0
            while not text.endswith("."):
                token = int(torch.multinomial(probabilities[token], 1, replacement=True, generator=generator))
                text += characters[token]
            expected.append(text[:-1])
        counted.smoothing = smoothing
        assert counted.sample(10, seed=SEED, batch_size=1) == expected

    def test_the_losses_of_gradient_descent_are_those_of_numpy(self, table: list[list[int]], tmp_path: Path) -> None:
        steps, lr = 20, 50.0
        run = fit("bigram_gd", "names", tmp_path, "--trainer.max_steps", str(steps))
        counts = np.array(table, np.float64)
        frequencies = counts / counts.sum()
        logits = torch.randn(counts.shape, generator=torch.Generator().manual_seed(SEED)).double().numpy()
        losses = []
        for _ in range(steps):
            exponentials = np.exp(logits)
            probabilities = exponentials / exponentials.sum(1, keepdims=True)
            losses.append(-(frequencies * np.log(probabilities)).sum())
            logits -= lr * (frequencies.sum(1, keepdims=True) * probabilities - frequencies)
        assert logged_losses(run) == pytest.approx(losses, abs=1e-5)
        trained = load(run)(torch.arange(len(table))[None])[0].detach().double().numpy()
        np.testing.assert_allclose(trained, logits, atol=1e-4)


class TestNamesTxt:
    """The package reproduces the lecture's numbers."""

    @pytest.fixture
    def data(self, names_txt: str) -> CharDataModule:
        return whole(names_txt)

    @pytest.fixture
    def counted(self, names_txt_run: Path) -> BigramCounts:
        return counted_in(names_txt_run)

    def test_the_numbers_of_lines_and_characters(self, data: CharDataModule) -> None:
        lengths = data.corpus.num_targets(np.arange(len(data.corpus))) - 1
        assert (len(lengths), lengths.min(), lengths.max()) == (32_033, 2, 15)
        assert data.vocabulary.characters == "abcdefghijklmnopqrstuvwxyz"
        assert len(data.split.train) == 32_033
        assert int((lengths + 1).sum()) == 228_146

    def test_the_counts(self, counted: BigramCounts) -> None:
        assert int(counted.counts.sum()) == 228_146
        assert counted.counts[0, :7].tolist() == [0, 4410, 1306, 1542, 1690, 1531, 417]
        names = "." + counted.vocabulary.characters
        top = counted.counts.flatten().topk(5)
        found = [
            (names[i // 27] + names[i % 27], n) for i, n in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        assert found == [("n.", 6763), ("a.", 6640), ("an", 5438), (".a", 4410), ("e.", 3983)]

    @pytest.mark.parametrize(("smoothing", "nll"), [(0.0, 2.454014), (1.0, 2.454577)])
    def test_the_mean_nll(self, counted: BigramCounts, data: CharDataModule, smoothing: float, nll: float) -> None:
        counted.smoothing = smoothing
        assert float(counted.mean_nll()) == pytest.approx(nll, abs=1e-6)
        assert batch_nll(counted, data) == pytest.approx(nll, abs=1e-5)

    def test_the_log_likelihood_of_the_first_three_names(self, counted: BigramCounts, data: CharDataModule) -> None:
        counted.smoothing = 0.0
        first = [data.corpus.line(i) for i in range(3)]
        assert first == ["emma", "olivia", "ava"]
        assert sum(float(log_probs(counted, name).sum()) for name in first) == pytest.approx(-38.7856, abs=1e-4)

    def test_the_log_likelihood_of_a_name_with_an_unseen_pair(self, counted: BigramCounts) -> None:
        expected = [-1.9835, -1.8302, -3.2594, -2.5646, -2.0143, -5.9004, -7.9817, -2.3331]
        assert log_probs(counted, "andrejq").tolist() == pytest.approx(expected, abs=1e-4)
        assert float(log_probs(counted, "andrejq").sum()) == pytest.approx(-27.867, abs=1e-3)
        counted.smoothing = 0.0
        assert float(log_probs(counted, "andrejq").sum()) == -math.inf

    @pytest.mark.parametrize("smoothing", [0.0, 1.0])
    def test_the_samples_of_the_counted_model(self, counted: BigramCounts, smoothing: float) -> None:
        counted.smoothing = smoothing
        assert counted.sample(10, seed=SEED, batch_size=1) == SAMPLES

    def test_the_samples_of_the_uniform_table(self, data: CharDataModule) -> None:
        model = Bigram(data.vocabulary.characters, data.context_length)
        assert model.sample(3, seed=SEED, batch_size=1) == UNIFORM_SAMPLES

    def test_the_sample_command_prints_the_same_samples(
        self, names_txt_run: Path, command: Callable[..., CommandResult]
    ) -> None:
        options = ["--seed", SEED, "--batch_size", "1", "--num_samples", "10"]
        result = command("sample", "--ckpt_path", names_txt_run, *options)
        assert (result.code, result.err) == (0, "")
        assert result.out.splitlines() == SAMPLES

    def test_the_first_losses_of_gradient_descent(self, names_txt: str, tmp_path: Path) -> None:
        losses = logged_losses(fit("bigram_gd", names_txt, tmp_path, "--trainer.max_steps", "3"))
        assert losses == pytest.approx([3.758953, 3.371082, 3.154033], abs=1e-4)

    @pytest.mark.slow  # 200 steps on all lines at once
    def test_the_losses_of_gradient_descent(self, names_txt: str, tmp_path: Path) -> None:
        losses = logged_losses(fit("bigram_gd", names_txt, tmp_path))
        assert len(losses) == 200
        # The first loss is that of step 1.
        assert (losses[99], losses[199]) == pytest.approx((2.472876, 2.462393), abs=1e-4)
