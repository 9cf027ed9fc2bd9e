"""The metrics of a validation besides the losses."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sequentia.data import CharDataModule
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.evaluate import evaluate
from sequentia.evaluation.metrics import METRICS
from sequentia.inference.sampling import Sample, drafts
from sequentia.models import GRU, Bigram
from sequentia.runs.checkpoint import load
from sequentia.training.logs.progress import RunProgress
from sequentia.training.logs.samples import Samples, markdown
from sequentia.training.logs.tensorboard import tag
from tests.training.runs import Uninterrupted, curves


@pytest.fixture
def run(uninterrupted: Uninterrupted) -> Path:
    return uninterrupted("every 5 steps")


@pytest.fixture
def data(run: Path, monkeypatch: pytest.MonkeyPatch) -> CharDataModule:
    """The data of the run."""
    monkeypatch.chdir(run.parents[2])
    return CharDataModule("lines.txt", batch_size=16)


def test_the_logged_metrics_are_those_of_the_saved_model(run: Path, data: CharDataModule) -> None:
    model = load(run / "last.ckpt")
    drawn = drafts(model, 200, seed=0, max_length=model.context_length - 1)
    texts = [sample.text for sample in drawn]
    expected = evaluate(model, data, "val", num_samples=200)
    found = curves(run)
    for name in (name for name, metric in METRICS.items() if metric.fit):
        step, logged = found[tag(f"val/{name}")][-1]
        assert step == 39
        assert logged == pytest.approx(expected[f"val/{name}"], abs=1e-6), name
    events = EventAccumulator(str(run)).Reload()
    table = events.Tensors("samples/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert table == markdown(list(zip(drawn[:20], data.splits_of(texts[:20]), strict=True)))
    log = (run.parents[2] / "log").read_text().splitlines()
    (line,) = (line for line in log if line.startswith("step 40  "))
    assert line.endswith("  samples " + ", ".join(text or "(empty)" for text in texts[:5]))


def test_baselines_are_logged_once_per_run(run: Path, data: CharDataModule) -> None:
    found = baselines(data, "val")
    expected = (
        "baselines on the validation lines, in nats per character: "
        f"uniform {found['uniform']:.4f}, bigram counts {found['bigram_counts']:.4f}, ngram {found['ngram']:.4f}"
    )
    assert (run.parents[2] / "log").read_text().splitlines().count(expected) == 1


def test_samples_on_the_terminal_are_short_and_without_control_characters() -> None:
    samples = Samples()
    lines = [("", "a\x1b[2Jb"), ("F", ""), ("", "x" * 50), ("M", "d"), ("", "e"), ("", "f")]
    samples.shown = [Sample(text, 0.0, label).shown for label, text in lines]
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(Bigram("ab", 3))
    line = RunProgress(samples)._line(trainer)
    assert line == f"step 0  samples a\\x1b[2Jb, F  (empty), {'x' * 29}…, M  d, e"


def test_a_model_without_probabilities_draws_no_samples(data: CharDataModule) -> None:
    model = GRU.for_data(data, n_hidden=4)
    torch.nn.init.constant_(next(model.parameters()), float("nan"))
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.datamodule = data
    samples = Samples()
    samples.on_validation_start(trainer, model)
    samples.on_validation_batch_end(trainer, model, None, next(iter(data.eval_batches(data.split.val))))
    samples.on_validation_epoch_end(trainer, model)
    assert samples.shown == []


def test_markup_in_samples_is_escaped() -> None:
    escaped = "<code>a&#124;&lt;b>&#96;&amp;</code>"
    assert markdown([(Sample("a|<b>`&", 0.0), "new")]) == f"| sample | split |\n| --- | --- |\n| {escaped} | new |"
    assert markdown([(Sample("b", 0.0, "a|<b>`&"), "val"), (Sample("", 0.0), "new")]) == (
        "| label | sample | split |\n| --- | --- | --- |\n"
        f"| {escaped} | <code>b</code> | val |\n| <code></code> | <code></code> | new |"
    )
