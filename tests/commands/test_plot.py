"""`sequentia plot` writes a whole picture or nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sequentia.models import Bigram

Command = Callable[..., Any]


def test_the_picture_is_whole_and_square(command: Command, trained: Path, tmp_path: Path) -> None:
    assert command("plot", "--ckpt_path", trained, tmp_path / "a.png") == (0, "", "")
    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
        assert picture.width == picture.height
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_earlier_picture_is_replaced(command: Command, save_run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("old")
    assert command("plot", "--ckpt_path", save_run(Bigram("ab", 4)), tmp_path / "a.svg").code == 0
    assert "<svg" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.txt", "a.txt is no picture's name"), ("a", "a is no picture's name"), ("no/a.png", "cannot write")],
)
def test_mistakes_end_in_one_line_and_exit_code_2(
    command: Command, save_run: Callable[..., Path], tmp_path: Path, name: str, words: str
) -> None:
    ended = command("plot", "--ckpt_path", save_run(Bigram("ab", 4)), tmp_path / name)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["version_0"]
