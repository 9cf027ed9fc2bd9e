"""metrics.csv has one row per step with every logged scalar, also of a run that was killed and resumed."""

import re
from pathlib import Path

import pytest

from sequentia.training.logs.metrics_file import MetricsFile
from tests.training.runs import SPEEDS, ForkServer, Uninterrupted, arguments, curves, rows, the_run


def test_a_step_is_one_row_and_a_metric_one_column(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path)
    file.log_metrics({"train/loss": 2.5, "epoch": 0}, 4)
    file.log_metrics({"train/loss": 1 / 3, "epoch": 0}, 9)
    file.log_metrics({"val/loss": 3.25, "epoch": 0}, 9)
    file.log_metrics({"train/loss": float("inf"), "epoch": 1}, 14)
    file.log_metrics({"val/loss": 3.0, "epoch": 1}, 14)
    file.log_metrics({"val/loss": 3.125}, 14)
    assert (tmp_path / "metrics.csv").read_text() == (
        "step,epoch,train/loss,val/loss\n4,0,2.5,\n9,0,0.333333333,3.25\n14,1,inf,3.125\n"
    )


def test_rows_that_are_taken_again_and_half_rows_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for step, kept in ((19, 3), (10, 2), (9, 1), (0, 0)):
        path.write_text("step,epoch,train/loss,a\n4,0,2.5,1\n9,0,2.25,\n14,0,2.125,\n19,0,2.")
        MetricsFile(tmp_path, step).log_metrics({"a": 3.0}, 24)
        assert [int(row["step"]) for row in rows(tmp_path)] == [*[4, 9, 14][:kept], 24]
    path.write_text("step,epoch,train/loss,a\n4,0,2.5,1\n9,0,2.25,\n14,0,2.125,\n19,0,2.")
    MetricsFile(tmp_path, 10).log_metrics({"train/loss": 2.0, "b": 7, "epoch": 0}, 14)
    assert path.read_text() == "step,a,b,epoch,train/loss\n4,1,,0,2.5\n9,,,0,2.25\n14,,7,0,2\n"


@pytest.mark.parametrize("content", [b"", b"\xff\x00\n1,2\n", b"a,b\n1\n", b"step\n-1\n2,3\n"])
def test_a_damaged_file_is_replaced_by_its_valid_rows(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    MetricsFile(tmp_path, 5).log_metrics({"train/loss": 1.0}, 5)
    assert rows(tmp_path)[-1]["train/loss"] == "1"
    assert all(int(row["step"]) in (2, 5) for row in rows(tmp_path))


@pytest.mark.parametrize("logger", ["default", "False", "CSVLogger --trainer.logger.save_dir logs"])
def test_it_has_the_scalars_of_tensorboard_whatever_the_logger(
    fit: ForkServer, uninterrupted: Uninterrupted, logger: str
) -> None:
    expected = curves(uninterrupted("every 5 steps"))
    run = uninterrupted("every 5 steps")
    if logger != "default":
        cwd = uninterrupted.workdir(f"metrics of {logger}")
        assert fit(cwd, [*arguments("every 5 steps"), "--trainer.logger", *logger.split()]) == 0
        run = the_run(cwd)
        files = {"config.yaml", "metrics.csv", "best.ckpt", "last.ckpt"}  # in the run directory all the same
        assert {path.name for path in run.iterdir()} == files
    found = rows(run)
    assert [int(row["step"]) for row in found] == list(range(40))
    for tag, points in expected.items():
        column = {"loss": "val/loss"}.get(tag, re.sub("samples(_more)?/", "val/samples_", tag))
        values = {int(row["step"]): row[column] for row in found if row[column]}
        assert values.keys() == dict(points).keys(), tag
        if tag not in SPEEDS:
            numbers = [float(value) for value in values.values()]
            assert numbers == pytest.approx([value for _, value in points], rel=1e-7)
