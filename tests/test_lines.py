"""Lines from a program become a data file that holds exactly them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.lines import save_lines

LINES = ["emma", "zoë", "李", "a b", "emma"]


class Column:
    """A column as pandas and Hugging Face have it: an iterable with a name, and no list."""

    name = "text"

    def __iter__(self) -> Iterator[str]:
        return iter(LINES)


@pytest.mark.parametrize("lines", [LINES, tuple(LINES), iter(LINES), (line for line in LINES), Column()])
def test_any_iterable_of_the_same_lines_gives_the_same_file(lines: Iterable[str], tmp_path: Path) -> None:
    path = save_lines(lines, tmp_path / "runs")
    assert path == save_lines(LINES, tmp_path / "runs")
    assert path.parent == tmp_path / "runs" / "lines"
    assert path.read_text(encoding="utf-8").split("\n") == [*LINES, ""]
    assert len(CharDataModule(str(path)).corpus) == len(LINES)


def test_a_set_gives_the_same_file_whatever_its_order(tmp_path: Path) -> None:
    assert save_lines(set(LINES), tmp_path) == save_lines(sorted(set(LINES)), tmp_path)


def test_other_lines_are_another_file(tmp_path: Path) -> None:
    paths = {save_lines(lines, tmp_path) for lines in (["ab", "c"], ["a", "bc"], ["c", "ab"], ["ab", "c", ""])}
    assert len(paths) == 4


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["emma", "a\nb"], r"^item 1 of the data has the character '\\n': each item must be one line$"),
        (["a\r"], r"^item 0 of the data has the character '\\r'"),
        (["a\0"], r"^item 0 of the data has the character '\\x00'"),
        (["a", "\ud800"], r"^item 1 of the data has U\+D800, half a surrogate pair"),
        (["a", float("nan")], "^item 1 of the data is nan, not a string: convert it, or leave it out$"),
        ([{"text": "a"}], "^item 0 of the data is {'text': 'a'}, not a string"),
        ({"text": ["a"]}, "^the data must be strings, got a dict: give one column or a list$"),
        (b"ab", "^item 0 of the data is 97, not a string"),
        ([], "^the data has no items: give at least two lines$"),
    ],
)
def test_what_is_no_line_is_refused_with_its_index(lines: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        save_lines(lines, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_table_is_refused_because_iterating_over_it_gives_names_of_columns(tmp_path: Path) -> None:
    class DataFrame(list[str]):
        columns = ("name", "country")

    with pytest.raises(UserError, match=r"^the data must be strings, got a DataFrame: give one column or a list$"):
        save_lines(DataFrame(["name", "country"]), tmp_path)


def test_a_directory_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the lines to .*: Not a directory; set default_root_dir"):
        save_lines(LINES, tmp_path / "file")
