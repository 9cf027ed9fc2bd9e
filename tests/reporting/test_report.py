"""A report agrees with the files of each run, whatever is in them."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sequentia.errors import UserError
from sequentia.reporting.curves import draw_validation
from sequentia.reporting.page import page
from sequentia.reporting.report import COLUMNS, differing_options, find_runs, read_run, shown, sort_runs

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a run: its options, its metrics, and the numbers of its test."""

    def make(name: str, options: Any = None, metrics: str = "", test: dict[str, Any] | None = None) -> Path:
        run = tmp_path / name
        run.mkdir(parents=True)
        config = {"model": {"class_path": "sequentia.models.GRU", "init_args": {"n_hidden": 8}}} | (options or {})
        (run / "config.yaml").write_text(f"# GRU with 1,234 parameters\n{yaml.safe_dump(config)}")
        (run / "best.ckpt").write_bytes(name.encode())
        if metrics:
            (run / "metrics.csv").write_text(metrics)
        if test is not None:
            digest = hashlib.sha256(name.encode()).hexdigest()
            (run / "test.json").write_text(json.dumps({"checkpoint_sha256": digest, "valid": None} | test))
        return run

    return make


METRICS = (
    "step,train/loss,val/loss,val/samples_novel,val/samples_unique,vitals/seconds\n"
    "4,3,,,,1.5\n5,,2.5,0.9,1,\n9,2.5,2.25,0.75,0.5,3.25\n14,2,2.375,0.1,0.2,6.5\n"
)


def test_the_row_of_a_run_is_that_of_its_best_validation(make: Make) -> None:
    run = read_run(make("a", metrics=METRICS, test={"test/loss": 2.3125}))
    assert run.row == {
        "run": str(run.path),
        "architecture": "GRU",
        "parameters": 1234,
        "steps": 15,
        "val/loss": 2.25,
        "test/loss": 2.3125,
        "samples_novel": 0.75,
        "samples_unique": 0.5,
        "seconds": 6.5,
    }
    assert tuple(run.row) == COLUMNS


def test_what_is_not_recorded_is_missing(make: Make) -> None:
    path = make("a")
    (path / "config.yaml").write_text("model: sequentia.models.GRU\n")
    row = read_run(path).row
    assert [name for name, value in row.items() if value is not None] == ["run", "architecture"]


@pytest.mark.parametrize("content", ["", "[", "[1]", '{"a/b": 1}', '{"checkpoint_sha256": "0"}', "[" * 100_000])
def test_a_test_of_another_checkpoint_is_left_out(make: Make, content: str) -> None:
    path = make("a")
    (path / "test.json").write_text(content)
    assert read_run(path).test == {}


@pytest.mark.parametrize("value", ["x", None, [1], {}, 10**400])
def test_a_test_with_values_that_are_no_numbers_is_left_out(make: Make, value: object) -> None:
    assert read_run(make("a", test={"test/loss": value})).test == {}


def test_a_checkpoint_that_is_a_pipe_is_not_read(make: Make) -> None:
    path = make("a", test={"test/loss": 2.0})
    (path / "best.ckpt").unlink()
    os.mkfifo(path / "best.ckpt")
    assert read_run(path).test == {}


@pytest.mark.parametrize("config", ["", "- 1", "a: b", "model: 3", "model: {class_path: [x]}", "a: &x 1\nb: *x", "{"])
def test_a_foreign_configuration_is_refused_in_one_line(make: Make, config: str) -> None:
    path = make("a")
    (path / "config.yaml").write_text(config)
    with pytest.raises(UserError, match=r"a/config.yaml|a: "):
        read_run(path)


def test_only_options_that_two_runs_set_differently_are_compared(make: Make) -> None:
    data = {"path": "x.txt", "seed": 1}
    trainer = {"default_root_dir": "checkpoints/a", "max_steps": 9, "precision": None}
    one = read_run(make("1", {"data": data, "trainer": trainer, "optimizer": {"class_path": "a.B", "init_args": {}}}))
    other = {"class_path": "sequentia.models.GRU", "init_args": {"n_hidden": 16, "n_layer": 2}}
    two = read_run(
        make(
            "2",
            {
                "data": data | {"seed": 2},
                "trainer": trainer | {"default_root_dir": "b", "max_steps": 8, "callbacks": [1]},
                "model": other,
            },
        )
    )
    assert differing_options([one, two]) == ["data.seed", "model.n_hidden"]
    assert differing_options([one]) == []
    assert one.options["optimizer"] == "{}"  # the class without options
    assert two.options["model.n_layer"] == 2
    assert two.options["trainer.callbacks"] == "[1]"


def test_runs_are_sorted_by_validation_nll_and_those_without_are_last(make: Make) -> None:
    runs = [
        read_run(make(name, metrics=f"step,val/loss\n{rows}"))
        for name, rows in (("a", "1,nan\n"), ("b", "1,2.5\n2,3\n"), ("c", "1,2.25\n"), ("d", ""), ("e", "1,inf\n2,9\n"))
    ]
    assert [run.path.name for run in sort_runs(runs)] == ["c", "b", "e", "a", "d"]


def test_a_directory_stands_for_its_runs_and_each_run_counts_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make("checkpoints/gru/version_0"), make("checkpoints/lstm/version_3")
    assert find_runs([str(two), str(tmp_path), str(one)]) == [two, one]
    monkeypatch.chdir(tmp_path)
    assert find_runs([]) == [Path("checkpoints/gru/version_0"), Path("checkpoints/lstm/version_3")]
    (tmp_path / "empty").mkdir()
    for given, message in ((["nowhere"], "no run in nowhere"), (["empty"], "no run in empty")):
        with pytest.raises(UserError, match=message):
            find_runs(given)
    monkeypatch.chdir("empty")
    with pytest.raises(UserError, match="no run in checkpoints: give a run or a directory of runs"):
        find_runs([])


def test_values_are_short_and_without_control_characters() -> None:
    assert shown("data.path", "a\x1b[2J\nb") == "a\\x1b[2J\\nb"
    assert shown("data.path", "x" * 100) == "x" * 59 + "…"
    assert shown("optimizer.lr", 0.001) == "0.001"
    assert [shown(name, 1234.5678) for name in ("seconds", "val/loss")] == ["1,235", "1234.5678"]
    assert shown("parameters", 1_234_567) == "1,234,567"


HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=y>"


def test_everything_from_a_run_is_escaped_in_the_page(make: Make) -> None:
    name = "x<b>&\"'"
    options = {"data": {"path": HOSTILE, HOSTILE: 1}, HOSTILE: {"class_path": HOSTILE}}
    model = {"class_path": f"a.{HOSTILE}", "init_args": {"n_hidden": HOSTILE}}
    one = read_run(make(name, options | {"model": model}, METRICS))
    two = read_run(make("b", options | {"model": model, "data": {"path": HOSTILE + "2"}}))
    for text in (page([one]), page([one, two])):
        assert "<script" not in text
        assert "<img" not in text
        assert "<b>" not in text
        assert "&lt;script&gt;" in text
        assert text.startswith("<!doctype html>")


def test_the_page_needs_no_other_resource_and_describes_its_picture(make: Make) -> None:
    text = page([read_run(make("a", metrics=METRICS))])
    for attribute in (" src=", "@import", "<link", "<script", "url(http", 'href="http'):
        assert attribute not in text
    assert 'aria-label="Training and validation NLL by step. The lowest validation NLL is 2.2500, at step 10."' in text
    assert "<svg" in text
    assert "refused" in text  # best.ckpt is not a checkpoint: no samples, but a page


def test_baselines_that_all_runs_have_are_flat_lines_of_their_validation_curves() -> None:
    own = {"val/loss": {4: 3.0, 9: 2.5}, "baselines/ngram": {4: 2.0, 9: 2.0}, "baselines/uniform": {4: 3.3, 9: 3.3}}
    other = own | {"val/loss": {19: 2.25}, "baselines/ngram": {19: 2.125}}  # of other lines
    lines = draw_validation({"own": own, "other": other | {"baselines/uniform": {19: 3.3}}}).axes[0].lines
    assert [line.get_label() for line in lines] == ["own", "other", "uniform"]
    assert lines[2].get_xydata().tolist() == [[1, 3.3], [20, 3.3]]  # type: ignore[union-attr]


def test_a_run_without_curves_has_a_page(make: Make) -> None:
    text = page([read_run(make("a"))])
    assert "has logged no loss" in text
    assert "<svg" not in text
