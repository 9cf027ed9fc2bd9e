"""The commands and programs of docs/export.md run, in their order."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from sequentia.models import Transformer
from tests.conftest import CommandResult

TEXT = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")


def test_the_guide_to_exporting_runs(
    command: Callable[..., CommandResult],
    save_run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_run(Transformer("abc", 6, n_layer=1, n_head=1, n_embd=4), "checkpoints/transformer/version_0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ran = 0
    for line, program in re.findall(r"^    (sequentia [^\n]+)$|^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        if line:
            assert command(*shlex.split(line)[1:]).code == 0, line
        else:
            capsys.readouterr()
            exec(program, {})
            assert len(capsys.readouterr().out.splitlines()) == 10
        ran += 1
    assert ran == 5
