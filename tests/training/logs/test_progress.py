"""The progress bar in a terminal: no message is glued to it, and the validation loss survives in a narrow one."""

import re

import pytest

from tests.training.runs import ForkServer, Uninterrupted, arguments

BAR = re.compile(r"\d+/40(  val/loss \d\.\d{4})?(  train/loss \d\.\d{4})? \|.*")

LINE = re.compile(
    r"\bstep (\d+)\s+train/loss \d\.\d{4}\s+val/loss \d\.\d{4}\s+(?:\S+\(new\s+best\)\S+\s+)?"
    r"below\s+the\s[\w\s]+\sbaseline\s+\d\.\d{4}\s+samples \S"
)
"""The line of a validation, its parts separated by a break of the line or by spaces."""


@pytest.mark.parametrize("columns", [60, pytest.param(80, marks=pytest.mark.slow)])
def test_messages_are_above_the_bar_and_val_loss_is_visible(
    fit: ForkServer, uninterrupted: Uninterrupted, columns: int
) -> None:
    cwd = uninterrupted.workdir(f"terminal of {columns} columns")
    warn = {"hook": "on_train_batch_end", "count": 20, "text": "a warning during the run"}
    assert fit(cwd, arguments("every 5 steps"), columns=columns, warn=warn) == 0
    lines = (cwd / "log").read_bytes().decode().replace("\r\n", "\n").split("\n")
    shown = [text.strip() for line in lines for text in line.split("\r") if text.strip()]
    bars = [text for text in shown if re.match(r"\d+/", text)]
    assert len(bars) > 2
    assert all(BAR.fullmatch(text) for text in bars), bars
    assert all(len(text) <= columns for text in bars)
    assert "val/loss" in bars[-1]
    assert bars[-1].startswith("40/40")
    messages = [text for text in shown if text not in bars]
    assert not [text for text in messages if len(text) > columns and " " in text]  # a path may be longer
    assert LINE.findall(" ".join(messages)) == ["7", "14", "21", "28", "35", "40"]
    for start in (
        "starting run ",
        "data lines.txt: 250 lines ",
        "training for 40 steps (3.08 epochs)",
        "run checkpoints/",
    ):
        assert sum(text.startswith(start) for text in messages) == 1, start
    assert " ".join(messages).count("a warning during the run") == 1
    assert not any(re.search(r"\d+/40", text) for text in messages)
