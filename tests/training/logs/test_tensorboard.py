"""What TensorBoard shows of a run besides curves."""

import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard import context
from tensorboard.data import server_ingester
from tensorboard.util import grpc_util

from sequentia.training.logs.overview import hparams_files
from sequentia.training.logs.tensorboard import VALIDATION, drop_events
from tests.training.runs import RATE, Curves, ForkServer, Uninterrupted, arguments, curves, the_run


def test_both_losses_are_one_chart_and_groups_are_in_the_order_in_which_they_are_read(
    uninterrupted: Uninterrupted,
) -> None:
    """TensorBoard shows groups in alphabetical order."""
    run = uninterrupted("every 5 steps")
    found, validation = curves(run), curves(run / VALIDATION)
    assert found["loss"] == found["train/loss"]
    assert validation == {"loss": found["val/loss"]}
    groups = sorted({tag.split("/")[0] for tag in found})
    assert groups == ["loss", "samples", "train", "val", "vitals"]
    assert "vitals/epoch" in found
    assert not [tag for tag in found if tag.startswith("val/samples")]


def server_curves(run: Path) -> Curves:
    """The scalars of a run as TensorBoard's data server reads them."""
    ingester = server_ingester.SubprocessServerDataIngester(
        server_ingester.get_server_binary(),
        str(run),
        reload_interval=0,
        channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
        samples_per_plugin={"scalars": 0},  # all
    )
    ingester.start()
    scalars: dict[str, Any] = {}
    while not scalars:
        time.sleep(0.01)
        scalars = ingester.data_provider.read_scalars(
            context.RequestContext(), experiment_id="", plugin_name="scalars", downsample=10**6
        )
    return {tag: [(point.step, point.value) for point in points] for tag, points in scalars["."].items()}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # TensorBoard never waits for its server
def test_both_readers_show_a_resumed_run_without_the_steps_that_it_took_again(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    """Also if the steps that it took again are logged or validated at other intervals."""
    cwd = uninterrupted.workdir("other intervals")
    options = [*arguments("every 5 steps"), "--trainer.log_every_n_steps"]
    killed = {"call": "on_train_batch_end", "count": 19}
    assert fit(cwd, [*options, "3", "--trainer.val_check_interval", "6"], killed) == -9
    assert 17 in dict(curves(the_run(cwd))["train/loss"])
    resumed = [*options, "7", "--trainer.val_check_interval", "10", "--ckpt_path", "last"]
    assert fit(cwd, resumed) == 0, (cwd / "log").read_text()
    expected = curves(uninterrupted("every 5 steps"))
    for read in (curves, server_curves):
        found = read(the_run(cwd))
        steps = [2, 5, 8, 11, 14, 20, 27, 34, 39]  # the last checkpoint has 18 steps, or 15 without a validation
        assert [step for step, _ in found["train/loss"]] == sorted({*steps, 17})
        assert [step for step, _ in found["val/loss"]] == [5, 11, 17, 19, 29, 39]
        assert set(found[RATE]) <= set(expected[RATE])


def test_only_summaries_in_regular_event_files_are_removed(tmp_path: Path, trained: Path) -> None:
    (events,) = set(trained.glob("events.out.tfevents.*")) - set(hparams_files(trained))
    content = events.read_bytes()
    (tmp_path / "target").write_bytes(content)
    (tmp_path / "events.out.tfevents.1").symlink_to(tmp_path / "target")
    (tmp_path / "events.out.tfevents.2").write_bytes(b"no event file" * 9)
    (tmp_path / "events.out.tfevents.3").write_bytes(content[:-5] + b"\xff" * 5)  # half a record
    drop_events(tmp_path, 20)
    assert (tmp_path / "events.out.tfevents.2").read_bytes() == b"no event file" * 9
    assert (tmp_path / "events.out.tfevents.3").read_bytes() == content[:-5] + b"\xff" * 5
    drop_events(tmp_path, 0)
    assert (tmp_path / "target").read_bytes() == content
    assert content.startswith((tmp_path / "events.out.tfevents.3").read_bytes())
    (tmp_path / "events.out.tfevents.1").unlink()
    assert curves(tmp_path) == {}
