"""`sequentia report` prints one report of the runs that can be read, and names the others on stderr."""

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from sequentia.runs.checkpoint import load

Command = Callable[..., Any]


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three directories of runs: two copies of a run and a damaged one."""
    root = tmp_path / "checkpoints" / "bigram"
    for i in range(3):
        shutil.copytree(trained, root / f"version_{i}")
    path = root / "version_1" / "config.yaml"
    path.write_text(path.read_text().replace("seed_everything: 0", "seed_everything: 7"))
    (root / "version_2" / "config.yaml").write_text("model: 3\n")
    monkeypatch.chdir(tmp_path)
    return Path("checkpoints/bigram")


def test_the_formats_say_the_same(runs: Path, command: Command) -> None:
    printed = {form: command("report", "--format", form) for form in ("json", "csv", "table")}
    for result in printed.values():
        assert result.code == 0
        (line,) = result.err.splitlines()
        assert line.startswith(f"skipped {runs}/version_2: ")
        assert "Traceback" not in line
    found = json.loads(printed["json"].out)
    assert [(run["run"], run["seed_everything"]) for run in found] == [
        (f"{runs}/version_0", 0),
        (f"{runs}/version_1", 7),
    ]
    rows = list(csv.DictReader(io.StringIO(printed["csv"].out)))
    assert [list(row) for row in rows] == [list(run) for run in found]
    for row, run in zip(rows, found, strict=True):
        assert list(row.values()) == ["" if value is None else str(value) for value in run.values()]
    lines = printed["table"].out.splitlines()
    assert [line.split()[0] for line in lines] == ["run", f"{runs}/version_0", f"{runs}/version_1"]
    assert all("Bigram" in line and "20" in line for line in lines[1:])
    assert [line.split()[-1] for line in lines[1:]] == ["seed_everything=0", "seed_everything=7"]


def test_the_parameters_and_steps_are_those_of_the_checkpoint(runs: Path, command: Command) -> None:
    (run,) = json.loads(command("report", runs / "version_0", "--format", "json").out)
    model = load(runs / "version_0" / "best.ckpt")
    assert run["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert run["steps"] == 20
    assert run["seconds"] > 0


def test_a_page_of_one_run_has_samples_of_its_best_checkpoint(runs: Path, command: Command) -> None:
    (Path("out.html")).write_text("old")
    assert command("report", runs / "version_0", "--format", "html", "--out", "out.html") == (0, "", "")
    model = load(runs / "version_0" / "best.ckpt")
    text = unescape(Path("out.html").read_text())
    for sample in model.sample(20, seed=0, max_length=model.context_length - 1):
        assert f"<li>{sample or '(empty)'}</li>" in text
    assert f"sequentia fit --config {runs}/version_0/config.yaml" in text
    assert "<svg" in text


def test_a_page_of_several_runs_has_them_side_by_side(runs: Path, command: Command) -> None:
    for i in (0, 1):
        (runs / f"version_{i}" / "metrics.csv").write_text(f"step,val/loss\n4,2.{i}\n9,1.{i}\n")
    code, out, _ = command("report", "--format", "html")
    assert code == 0
    page = unescape(out)
    assert "<td>1.0500 ± 0.0707</td>" in page  # of 1.0 and 1.1
    assert "Validation NLL of all runs by step" in page
    assert all(f"<!-- {runs}/version_{i} -->" in page for i in (0, 1))  # the legend
    model = load(runs / "version_0" / "best.ckpt")
    first = next(filter(None, model.sample(20, seed=0, max_length=model.context_length - 1)))
    assert f"<tr><td>{first}</td><td>{first}</td></tr>" in page  # both have the same weights
    alone = command("report", runs / "version_0", "--format", "html").out
    assert not [title for title in ("Over seeds", "Validation curves", "side by side") if title in alone]


def test_mistakes_are_one_line_and_write_nothing(runs: Path, command: Command) -> None:
    for arguments, message in (
        (["nowhere"], "no run in nowhere"),
        ([runs / "version_2"], "names no architecture"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--out", "nowhere/x.csv", "--format", "csv"], "cannot write nowhere/x.csv"),
    ):
        code, out, err = command("report", *arguments)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("sequentia: ")
        assert message in err


def test_a_report_needs_no_pytorch(runs: Path) -> None:
    code = (
        "import sys; from sequentia.cli import main; code = main(['report', '--format', 'csv']);"
        "assert code == 0; assert not {'torch', 'lightning', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=Path.cwd())
