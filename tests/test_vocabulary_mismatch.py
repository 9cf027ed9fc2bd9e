"""A checkpoint and data of another vocabulary do not go together, be it of the same size or not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sequentia.cli import main
from tests.conftest import NAMES

pytestmark = pytest.mark.filterwarnings("default")  # whole commands: Lightning warns of its own code

OTHERS = {
    "same size, other characters": [name.replace("e", "ß") for name in NAMES],
    "one character more": [*NAMES, "qa", "aq"],
    "one character less": [name.replace("z", "") for name in NAMES],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_it_is_refused_in_one_line(
    command: str,
    other: str,
    trained: Path,
    write: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (trained / "last.ckpt").read_bytes()
    data = write(OTHERS[other], "other.txt")
    code = main([command, f"--config={trained}/config.yaml", f"--ckpt_path={trained}/last.ckpt", f"--data.path={data}"])
    captured = capsys.readouterr()
    assert code == 2
    (line,) = captured.err.splitlines()
    assert "vocabulary" in line
    assert captured.out == ""
    assert (trained / "last.ckpt").read_bytes() == before
