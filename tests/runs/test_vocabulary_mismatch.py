"""A checkpoint is refused if the data has another vocabulary, whether or not the sizes match."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sequentia.cli import main
from tests.conftest import NAMES

VOCABULARIES = {
    "same size, other characters": [name.replace("e", "ß") for name in NAMES],
    "one more character": [*NAMES, "qa", "aq"],
    "one character fewer": [name.replace("z", "") for name in NAMES],
}


@pytest.mark.parametrize(("command", "other"), list(zip(["fit", "validate", "test"], VOCABULARIES, strict=True)))
def test_another_vocabulary_is_refused_in_one_line_and_the_checkpoint_is_untouched(
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
    data = write(VOCABULARIES[other], "other.txt")
    options = [f"--config={trained}/config.yaml", f"--ckpt_path={trained}/last.ckpt", f"--data.path={data}"]
    code = main([command, *options, *(["--trainer.max_steps=40"] if command == "fit" else [])])
    captured = capsys.readouterr()
    assert code == 2
    (line,) = captured.err.splitlines()
    assert "vocabulary" in line
    assert ("--init_from in place of --ckpt_path" if command == "fit" else "`sequentia score --path`") in line
    assert captured.out == ""
    assert (trained / "last.ckpt").read_bytes() == before
