"""What a validation measures besides the losses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sequentia.data import CharDataModule, EvalBatches
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.samples import SampleQuality
from sequentia.models import Bigram
from sequentia.runs.loading import load
from sequentia.training.logs import samples as validation
from sequentia.training.logs.curves import Curves
from sequentia.training.logs.progress import RunProgress
from sequentia.training.logs.samples import Accuracy, Samples, markdown
from tests.conftest import bigram
from tests.training.runs import Uninterrupted, curves


@pytest.fixture
def run(uninterrupted: Uninterrupted) -> Path:
    return uninterrupted("every 5 steps")


@pytest.fixture
def data(run: Path, monkeypatch: pytest.MonkeyPatch) -> CharDataModule:
    """The data of the run."""
    monkeypatch.chdir(run.parents[2])
    return CharDataModule("lines.txt", batch_size=16)


def test_the_logged_metrics_of_samples_are_those_of_the_saved_model(run: Path, data: CharDataModule) -> None:
    model = load(run / "last.ckpt")
    texts = model.sample(200, seed=0, max_length=model.context_length - 1)
    quality = SampleQuality(data, "val")
    quality.update(texts)
    found = curves(run)
    for name, value in quality.compute().items():
        step, logged = found[f"samples/{name}"][-1]
        assert step == 39
        assert logged == pytest.approx(float(value), abs=1e-6), name
    events = EventAccumulator(str(run)).Reload()
    table = events.Tensors("samples/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert table == markdown(list(zip(texts[:20], data.splits_of(texts[:20]), strict=True)))
    log = (run.parents[2] / "log").read_text().splitlines()
    (line,) = (line for line in log if line.startswith("step 40  "))
    assert line.endswith("  samples " + ", ".join(text or "(empty)" for text in texts[:5]))


@torch.no_grad()
def test_the_logged_accuracy_is_the_share_of_characters_predicted_right(run: Path, data: CharDataModule) -> None:
    model = load(run / "last.ckpt").eval()
    right = characters = 0
    for line in (data.corpus.line(int(i)) for i in data.split.val):
        ids = torch.tensor([0, *model.vocabulary.encode(line).tolist(), 0])
        right += int((model(ids[None, :-1])[0].argmax(1) == ids[1:]).sum())
        characters += len(ids) - 1
    step, accuracy = curves(run)["val/accuracy"][-1]
    assert step == 39
    assert accuracy == pytest.approx(right / characters, abs=1e-6)


def test_baselines_are_logged_once_per_run(run: Path, data: CharDataModule) -> None:
    found = baselines(data, "val", ngram=False)
    expected = (
        "baselines on the validation lines, in nats per character: "
        f"uniform {found['uniform']:.4f}, bigram counts {found['bigram_counts']:.4f}"
    )
    assert (run.parents[2] / "log").read_text().splitlines().count(expected) == 1


@pytest.mark.filterwarnings("default")  # a whole validation, in which Lightning triggers warnings
def test_a_part_of_many_lines_is_enough_for_the_accuracy(
    data: CharDataModule, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(Bigram):
        rows = 0

        def forward(self, context: torch.Tensor, position: torch.Tensor | None = None) -> torch.Tensor:
            Counting.rows += len(context)
            return super().forward(context, position)

    model = Counting(data.vocabulary.characters, data.context_length)
    options: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    monkeypatch.setattr(model, "nll_sum", lambda batch: torch.tensor(1.0))
    batch = next(iter(EvalBatches(data.corpus, data.split.val, 10**6)))
    for limit, rows in ((10**6, len(batch.context)), (1, 1)):
        Counting.rows = 0
        monkeypatch.setattr(validation, "_ACCURACY_CHARACTERS", limit)
        Trainer(accelerator="cpu", callbacks=[Accuracy()], **options).validate(model, data, verbose=False)
        assert Counting.rows == rows


def test_samples_on_the_terminal_are_short_and_without_control_characters() -> None:
    samples = Samples()
    samples.texts = ["a\x1b[2Jb", "", "x" * 50, "d", "e", "f"]
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    line = RunProgress(Curves(), samples)._line(trainer)
    assert line == f"step 0  samples a\\x1b[2Jb, (empty), {'x' * 29}…, d, e"


def test_a_model_without_probabilities_draws_no_samples(data: CharDataModule) -> None:
    model = bigram([[float("nan")] * 3] * 3, "ab")
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.datamodule, trainer.state.fn = data, "fit"
    samples = Samples()
    samples.on_validation_epoch_end(trainer, model)
    assert samples.texts == []


def test_weights_and_biases_gets_the_table() -> None:
    class Recorder(WandbLogger):
        def __init__(self) -> None:
            self.calls: list[dict[str, Any]] = []

        def log_text(self, key: str, **options: Any) -> None:
            self.calls.append({"key": key} | options)

    logger = Recorder()
    validation._write_table(logger, [("emma", "train"), ("emm", "new")], 7)
    expected = {"key": "samples", "columns": ["sample", "split"], "data": [["emma", "train"], ["emm", "new"]]}
    assert logger.calls == [expected | {"step": 7}]


def test_markup_in_samples_is_escaped() -> None:
    assert markdown([("a|<b>`&", "new")]) == (
        "| sample | split |\n|---|---|\n| <code>a&#124;&lt;b>&#96;&amp;</code> | new |"
    )
