"""The progress bar in a terminal: no message is glued to it, and the validation loss survives in a narrow one."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from tests.training.runs import Uninterrupted, arguments

BAR = re.compile(r"\d+/40(, (val/loss \d\.\d{4}|train/loss \d\.\d{4}|val/loss \d\.\d{4}  train/loss \d\.\d{4}))? \|.*")
WARN = """
import sys, warnings
from lightning.pytorch import Callback
from sequentia.cli import main

class Warn(Callback):
    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == 20:
            warnings.warn("a warning during the run")

from sequentia.training import cli
cli.SampleTable = Warn
sys.exit(main(sys.argv[1:]))
"""


def screen(command: list[str], columns: int, cwd: object) -> list[list[str]]:
    """Run a command in a terminal; what each line of the screen showed, one text after the other."""
    terminal, process_side = pty.openpty()
    fcntl.ioctl(process_side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command, cwd=str(cwd), stdin=process_side, stdout=process_side, stderr=process_side
    ) as process:
        os.close(process_side)
        output = b""
        while True:
            try:
                output += os.read(terminal, 65536)
            except OSError:  # the process has closed the terminal
                break
    os.close(terminal)
    assert process.returncode == 0, output.decode()
    return [line.split("\r") for line in output.decode().replace("\r\n", "\n").split("\n")]


@pytest.mark.parametrize("columns", [60, pytest.param(80, marks=pytest.mark.slow)])
def test_messages_are_above_the_bar_and_val_loss_is_visible(uninterrupted: Uninterrupted, columns: int) -> None:
    cwd = uninterrupted.workdir(f"terminal of {columns} columns")
    lines = screen([sys.executable, "-c", WARN, *arguments("every 5 steps")], columns, cwd)
    shown = [text.strip() for line in lines for text in line if text.strip()]
    bars = [text for text in shown if re.match(r"\d+/", text)]
    assert len(bars) > 2
    assert all(BAR.fullmatch(text) for text in bars), bars
    assert all(len(text) <= columns for text in bars)
    assert "val/loss" in bars[-1]
    assert bars[-1].startswith("40/40")
    messages = [text for text in shown if text not in bars]
    for start in (
        "starting run ",
        "data lines.txt: 250 lines ",
        "training for 40 steps (3.08 epochs)",
        "run checkpoints/",
    ):
        assert sum(text.startswith(start) for text in messages) == 1, start
    assert sum("a warning during the run" in text for text in messages) == 1
    assert not any(re.search(r"\d+/40", text) for text in messages)
