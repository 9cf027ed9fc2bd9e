"""The metrics of a run are read as they were logged; a damaged file gives its valid part or one line."""

import math
import os
from pathlib import Path

import pytest

from sequentia.errors import UserError
from sequentia.runs.history import read_history


def test_each_metric_has_its_steps_in_order(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,a,b\n4,1.5,\n2,inf,0.25\n9,,nan\n")
    found = read_history(tmp_path)
    assert found["a"] == {2: math.inf, 4: 1.5}
    assert list(found["a"]) == [2, 4]
    assert found["b"][2] == 0.25
    assert math.isnan(found["b"][9])


@pytest.mark.parametrize(
    "content", [b"", b"step\n", b"a,b\n1,2\n", b"step,a\n-1,2\n1.5,2\nx,2\n1\n\n", b"\xff\x00,\n1,2\n", b"step,a\n3,4"]
)
def test_what_is_no_number_at_a_step_is_left_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    assert read_history(tmp_path) == {}


def test_a_missing_file_and_a_pipe_have_no_metrics(tmp_path: Path) -> None:
    assert read_history(tmp_path) == {}
    os.mkfifo(tmp_path / "metrics.csv")
    assert read_history(tmp_path) == {}


def test_a_file_that_is_not_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text('step,a\n1,"' + "x" * 200_000 + '"\n')
    with pytest.raises(UserError, match="cannot read"):
        read_history(tmp_path)
