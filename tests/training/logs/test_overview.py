"""TensorBoard shows the options and results of a run once, as the run's own files record them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Experiment

from sequentia.cli import main
from sequentia.training.logs.overview import hparams_files, write_hparams
from tests.conftest import NAMES

RESULTS = ("val_loss", "test_loss", "samples_novel", "samples_unique", "seconds", "parameters", "steps")
Fit = Callable[..., Path]


@pytest.fixture
def fit(tmp_path: Path, write: Callable[..., str], pictures: None) -> Fit:
    """Train on NAMES with everything that is drawn; returns the run directory."""
    path, val, test = write(NAMES), write(["mila", "lia"], "val.txt"), write(["ava", "olga"], "test.txt")
    common = ["--data.path", path, "--data.val_path", val, "--data.test_path", test, "--trainer.accelerator", "cpu"]

    def fit(model: str, *options: str, steps: int = 4, name: str = "version_0", new: bool = True) -> Path:
        run = tmp_path / name
        start = ["--model", model, *common] if new else ["--ckpt_path", str(run / "last.ckpt")]
        arguments = [*start, "--trainer.default_root_dir", str(tmp_path), "--trainer.max_steps", str(steps)]
        assert main(["fit", *arguments, "--trainer.val_check_interval", "2", *options]) == 0
        return run

    return fit


def events(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def content(run: Path, tag: str) -> bytes:
    return bytes(events(run).SummaryMetadata(tag).plugin_data.content)


def options(run: Path) -> dict[str, Any]:
    """The options of a run in HParams."""
    start = metadata.parse_session_start_info_plugin_data(content(run, metadata.SESSION_START_INFO_TAG))
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


def columns(run: Path) -> Experiment:
    return metadata.parse_experiment_plugin_data(content(run, metadata.EXPERIMENT_TAG))


def results(run: Path) -> dict[str, float]:
    """The points of the curves `summary/...`, which must be single ones."""
    found = events(run)
    tags = [tag for tag in found.Tags()["scalars"] if tag.startswith("summary/")]
    points = {tag.removeprefix("summary/"): found.Scalars(tag) for tag in tags}
    return {name: point.value for name, (point,) in points.items()}


def text(run: Path, tag: str) -> str:
    (point,) = events(run).Tensors(f"{tag}/text_summary")
    return str(point.tensor_proto.string_val[0].decode())


def test_hparams_has_the_options_that_decide_what_a_run_learns(fit: Fit) -> None:
    run = fit("GRU", "--model.n_hidden", "8", "--optimizer", "torch.optim.AdamW", "--optimizer.lr", "0.5")
    found = options(run)
    assert {name: found[name] for name in ("model", "model.n_hidden", "model.dropout", "data.deduplicate")} == {
        "model": "GRU",
        "model.n_hidden": 8,
        "model.dropout": 0,
        "data.deduplicate": "false",
    }
    assert (found["optimizer"], found["optimizer.lr"], found["lr_scheduler"]) == ("AdamW", 0.5, "WarmupDecay")
    assert (found["trainer.max_steps"], found["seed_everything"]) == (4, 0)
    assert found["data.path"].endswith("data.txt")
    assert not [name for name in found if name.startswith(("checkpoint", "trainer.d", "trainer.log", "trainer.val"))]


def test_each_run_declares_the_columns_of_all_architectures_and_of_the_results(fit: Fit) -> None:
    """TensorBoard takes the columns of all runs from one of them."""
    found = columns(fit("Bigram"))
    assert [info.name.tag for info in found.metric_infos] == [f"summary/{name}" for name in RESULTS]
    names = {info.name for info in found.hparam_infos}
    assert {"model", "model.n_head", "model.n_hidden", "model.tied", "model.smoothing", "trainer.max_steps"} <= names
    assert {info.name for info in found.hparam_infos if info.differs} >= {"model", "seed_everything"}


def test_results_are_those_of_the_runs_files_and_a_test_adds_its_own(fit: Fit, capsys: Any) -> None:
    run = fit("MLP", "--model.n_hidden", "8")
    trained = results(run)
    assert trained.keys() == {*RESULTS} - {"test_loss"}
    assert (trained["parameters"], trained["steps"]) == (int(trained["parameters"]), 4)
    header = (run / "config.yaml").read_text().splitlines()[0]
    assert header == f"# MLP with {trained['parameters']:,.0f} parameters"
    lowest = min(point.value for point in events(run).Scalars("val/loss"))
    assert trained["val_loss"] == pytest.approx(lowest)
    for _ in range(2):  # tested again: replaced
        assert main(["test", "--ckpt_path", str(run)]) == 0
        recorded = json.loads((run / "test.json").read_text())["test/loss"]
        assert results(run) == trained | {"test_loss": pytest.approx(recorded)}
    assert len(hparams_files(run)) == 2
    assert options(run)["model"] == "MLP"


def test_a_test_that_is_no_result_of_the_run_changes_nothing(fit: Fit, capsys: Any) -> None:
    run = fit("Bigram")
    before = hparams_files(run)
    assert main(["test", "--ckpt_path", str(run / "last.ckpt")]) == 0
    assert hparams_files(run) == before
    assert "test_loss" not in results(run)


def test_a_resumed_run_has_one_set_of_options_and_results(fit: Fit) -> None:
    fit("GRU", "--model.n_hidden", "8")
    run = fit("GRU", steps=8, new=False)
    assert options(run)["trainer.max_steps"] == 8
    assert results(run)["steps"] == 8
    assert len(hparams_files(run)) == 2
    assert (run / "00003/characters").is_dir()
    assert (run / "00007/characters").is_dir()


def test_options_data_and_layout_are_written_once_and_as_they_are(fit: Fit) -> None:
    run = fit("Bigram")
    shown = "".join(line[4:] for line in text(run, "about/options").splitlines(keepends=True))
    assert shown == (run / "config.yaml").read_text().rstrip("\n")
    assert "data.txt: 14 lines (13 distinct), 56 characters" in text(run, "about/data")
    assert "train 10, val 2, test 2" in text(run, "about/data")
    assert "custom_scalars__config__" in events(run).Tags()["tensors"]


@pytest.mark.parametrize("architecture", ["Transformer", "GRU", "CNN", "NGram"])
def test_the_graph_of_a_model_is_drawn_where_it_can_be_traced(fit: Fit, architecture: str) -> None:
    run = fit(architecture, steps=2 if architecture != "NGram" else 1)
    assert events(run).Tags()["graph"] == (architecture != "NGram")


def test_labels_of_the_embedding_are_one_visible_line_each(fit: Fit, write: Callable[..., str]) -> None:
    lines = write([f"{x} \té" for x in "ab\x7f漢"] * 3, "odd.txt")
    run = fit("Bigram", "--data.path", lines, "--data.val_path", lines, "--data.test_path", lines)
    labels = (run / "00003/characters/metadata.tsv").read_text(encoding="utf-8")
    assert labels == "boundary\n\\t\n␣\na\nb\n\\x7f\né\n6F22\n"
    assert len((run / "00003/characters/tensors.tsv").read_text().splitlines()) == 8


def test_without_extra_metrics_there_are_only_curves(fit: Fit) -> None:
    run = fit("Bigram", "--extra_metrics", "false")
    found = events(run).Tags()
    assert (found["images"], found["tensors"], found["graph"]) == ([], [], False)
    assert sorted(found["scalars"])[0] == "loss"
    assert not [tag for tag in found["scalars"] if tag.startswith("summary/")]
    assert hparams_files(run) == []
    assert not (run / "projector_config.pbtxt").exists()
    assert main(["test", "--ckpt_path", str(run)]) == 0
    assert hparams_files(run) == []


def test_a_planted_link_is_replaced_and_not_followed(fit: Fit, tmp_path: Path) -> None:
    run = fit("Bigram")
    (tmp_path / "target").write_text("mine")
    (run / "events.out.tfevents.0.1.hparams").symlink_to(tmp_path / "target")
    write_hparams(run, run)
    assert (tmp_path / "target").read_text() == "mine"
    assert len(hparams_files(run)) == 2
    digest = hashlib.sha256((run / "best.ckpt").read_bytes()).hexdigest()
    write_hparams(run, run)
    assert hashlib.sha256((run / "best.ckpt").read_bytes()).hexdigest() == digest
