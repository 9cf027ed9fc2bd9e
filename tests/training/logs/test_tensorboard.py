"""TensorBoard opens on the losses and the samples, and shows the options, results and pictures of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import GetExperimentRequest
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.get_experiment import Handler

from sequentia.cli import main
from sequentia.training.logs.tensorboard import BASELINES, TRAINING
from tests.conftest import NAMES
from tests.training.runs import RATE, ForkServer, Uninterrupted, arguments, curves, same_checkpoints, the_run

Fit = Callable[..., Path]


@pytest.fixture
def fit_names(tmp_path: Path, write: Callable[..., str]) -> Fit:
    """Train on NAMES; returns the run directory."""
    path, val = write(NAMES), write(["mila", "lia"], "val.txt")
    common = ["--data.path", path, "--data.val_path", val, "--data.test_fraction", "0", "--trainer.accelerator", "cpu"]

    def fit(model: str, *options: str, name: str = "a") -> Path:
        given = [*common, "--trainer.max_steps", "4", "--trainer.default_root_dir", str(tmp_path / name), *options]
        assert main(["fit", "--model", model, *given]) == 0
        return tmp_path / name / "version_0"

    return fit


def events(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0}).Reload()


def images(run: Path) -> dict[str, int]:
    """The pictures of a run and their steps; each is drawn once."""
    found = events(run)
    return {tag: picture.step for tag in found.Tags()["images"] for (picture,) in [found.Images(tag)]}


def options(run: Path) -> dict[str, Any]:
    """The options of a run in HParams."""
    content = bytes(events(run).SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content)
    start = metadata.parse_session_start_info_plugin_data(content)
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


def test_both_losses_are_one_chart_and_groups_are_in_the_order_in_which_they_are_read(
    uninterrupted: Uninterrupted,
) -> None:
    """TensorBoard shows groups in alphabetical order."""
    run = uninterrupted("every 5 steps")
    found, training = curves(run), curves(run / TRAINING)
    assert found["loss"] == found["val/loss"]
    assert training == {"loss": found["train/loss"]}
    for name in ("uniform", "bigram_counts", "ngram"):
        (flat,) = curves(run / BASELINES / name).values()
        assert [step for step, _ in flat] == [step for step, _ in found["val/loss"]]
        assert len({nll for _, nll in flat}) == 1
    assert sorted({tag.split("/")[0] for tag in found}) == ["loss", "samples", "samples_more", "train", "val", "vitals"]
    assert {"samples/novel", "samples/unique"} <= found.keys()
    assert not [tag for tag in found if tag.startswith("val/samples")]


def test_a_resumed_run_is_shown_without_the_steps_that_it_took_again(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    """Also if the steps that it took again are logged or validated at other intervals."""
    cwd = uninterrupted.workdir("other intervals")
    options = [*arguments("every 5 steps"), "--trainer.log_every_n_steps"]
    killed = {"call": "on_train_batch_end", "count": 19}
    assert fit(cwd, [*options, "3", "--trainer.val_check_interval", "6"], killed) == -9
    assert 17 in dict(curves(the_run(cwd))["train/loss"])
    assert fit(cwd, [*options, "7", "--trainer.val_check_interval", "10", "--ckpt_path", "last"]) == 0
    found, training = curves(the_run(cwd)), curves(the_run(cwd) / TRAINING)
    steps = [2, 5, 8, 11, 14, 17, 20, 27, 34, 39]  # the last checkpoint has 18 steps
    assert [step for step, _ in found["train/loss"]] == steps
    assert [step for step, _ in found["val/loss"]] == [5, 11, 17, 19, 29, 39]
    assert found["loss"] == found["val/loss"]
    assert training["loss"] == found["train/loss"]
    assert set(found[RATE]) <= set(curves(uninterrupted("every 5 steps"))[RATE])


@pytest.mark.usefixtures("pictures")
def test_hparams_has_the_options_of_a_run_and_its_final_results(fit_names: Fit) -> None:
    run = fit_names("GRU", "--model.n_hidden", "8", "--optimizer", "torch.optim.AdamW", "--optimizer.lr", "0.5")
    found = options(run)
    assert (found["architecture"], found["model.n_hidden"], found["optimizer"]) == ("GRU", 8, "AdamW")
    assert (found["optimizer.lr"], found["trainer.max_steps"], found["seed_everything"]) == (0.5, 4, 0)
    assert found["data.path"].endswith("data.txt")
    assert not [name for name in found if name.startswith(("checkpoint", "trainer.d", "trainer.log", "trainer.val"))]
    trained = curves(run)
    (parameters,) = trained["summary/parameters"]
    assert (run / "config.yaml").read_text().splitlines()[0] == f"# GRU with {parameters[1]:,.0f} parameters"
    lowest = min(value for _, value in trained["val/loss"])
    assert trained["summary/val_loss"] == [(3, lowest)]
    resume = ["--ckpt_path", str(run / "last.ckpt"), "--trainer.max_steps", "6"]
    assert main(["fit", *resume]) == 0
    assert curves(run)["summary/steps"] == [(3, 4), (5, 6)]  # HParams shows the last


@pytest.mark.usefixtures("pictures")
def test_hparams_has_the_options_that_differ_first_and_then_the_validation_loss(fit_names: Fit) -> None:
    """As TensorBoard itself finds them in the files of several runs."""
    runs = [fit_names("GRU", "--model.n_hidden", size).parent for size in ("8", "16")]
    multiplexer = EventMultiplexer()
    for i, home in enumerate(runs):
        multiplexer.AddRunsFromDirectory(str(home), f"run_{i}")
    provider = MultiplexerDataProvider(multiplexer.Reload(), "")
    context = Context(TBContext(data_provider=provider))
    experiment = Handler(RequestContext(), context, "", GetExperimentRequest()).run()
    option = experiment.hparam_infos[0]
    assert (option.name, option.differs) == ("model.n_hidden", True)
    first = experiment.metric_infos[0].name
    assert (first.group, first.tag) == ("", "loss")


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("architecture", "step", "drawn"),
    [
        ("BigramCounts", 0, ["pairs"]),
        ("GRU", 3, ["pairs", "embedding"]),
        ("Transformer", 3, ["pairs", "embedding", "attention"]),
    ],
)
def test_every_model_is_drawn_at_the_last_step(fit_names: Fit, architecture: str, step: int, drawn: list[str]) -> None:
    assert images(fit_names(architecture)) == {f"view/{name}": step for name in drawn}


def test_drawing_changes_no_bit_of_the_run(fit_names: Fit, request: pytest.FixtureRequest) -> None:
    options = ["--model.n_embd", "8", "--model.dropout", "0.1"]
    plain = fit_names("Transformer", *options)
    request.getfixturevalue("pictures")
    drawn = fit_names("Transformer", *options, name="b")
    assert images(plain) == {}
    assert images(drawn)
    for name in ("best.ckpt", "last.ckpt"):
        same_checkpoints(plain / name, drawn / name)
