"""Several files are read as their concatenation, and a pattern stands for the files that match it, sorted."""

import logging
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sequentia.data import CharDataModule, cache
from sequentia.data.corpus import read_corpus
from sequentia.data.paths import expand, shown
from sequentia.errors import UserError
from tests.data.conftest import same

WORDS = [a + b + c for a in "bcdfghjklm" for b in "aeiou" for c in ("n", "la", "rin", "tte", "")]


def lines_of(data: CharDataModule) -> list[str]:
    return [data.corpus.line(i) for i in range(len(data.corpus))]


def test_a_list_and_a_pattern_equal_the_concatenation_and_split_alike(
    write: Callable[..., str], tmp_path: Path
) -> None:
    whole = CharDataModule(write(WORDS * 2, "whole"))
    write(WORDS[100:] + WORDS, "b.txt")
    write(WORDS[:100], "a.txt")
    for path in ([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], str(tmp_path / "?.txt"), [f"{tmp_path}/*.txt"]):
        data = CharDataModule(path)
        assert lines_of(data) == lines_of(whole)
        assert data.vocabulary == whole.vocabulary
        for name in ("train", "val", "test"):
            assert getattr(data.split, name).tolist() == getattr(whole.split, name).tolist()


def test_matches_are_sorted_and_neither_directories_nor_dotfiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["B.txt", "a10.txt", "a2.txt", "z.txt", "é.txt"]
    for name in random.Random(0).sample([*names, ".hidden.txt", "a.gz"], 7):
        Path(name).write_text("emma\n")
    Path("dir.txt").mkdir()
    Path("dir.txt/deep.txt").write_text("ava\n")
    assert expand("*.txt") == names
    assert expand(["z.txt", "a*.txt"]) == ["z.txt", "a10.txt", "a2.txt"]
    assert expand("**/deep.*") == ["dir.txt/deep.txt"]
    assert expand("*.gz") == ["a.gz"]
    assert expand(f"file://{tmp_path}/z.*") == [f"{tmp_path}/z.txt"]


def test_an_existing_file_a_url_and_a_packaged_name_are_no_patterns(write: Callable[..., str]) -> None:
    write(["no"], "b1.txt")
    literal = write(["emma"], "b[1].txt")
    assert expand(literal) == [literal]
    for path in ("https://a.org/names.txt?raw=1", "memory://*.txt", "names", "nowhere.txt"):
        assert expand(path) == [path]
    corpus = CharDataModule([literal, "names"]).corpus
    assert corpus.lines_per_file == (1, 32_257)
    assert corpus.line(0) == "emma"


def test_patterns_without_match_and_empty_lists_are_refused() -> None:
    with pytest.raises(UserError, match=r"^no data file matches 'x\*\.txt': give a pattern of existing files"):
        CharDataModule(["names", "x*.txt"]).corpus  # noqa: B018
    with pytest.raises(UserError, match=r"^no data file matches '\[\*\.txt\]': .*in a list must be in quotes"):
        expand("[*.txt]")
    with pytest.raises(UserError, match="the list of data files is empty: give at least one"):
        expand([])
    for path in (5, ["a.txt", 5]):
        with pytest.raises(UserError, match=r"^a data path must be a string or a list of strings, got"):
            expand(path)  # type: ignore[arg-type]


def test_an_error_in_a_file_of_several_names_that_file(write: Callable[..., str], tmp_path: Path) -> None:
    write(["emma"], "a.txt")
    bad = write(b"ab\n\xff", "b.txt")
    with pytest.raises(UserError, match=f"^{re.escape(bad)} is not UTF-8 text: byte 3 is invalid"):
        CharDataModule(f"{tmp_path}/*.txt").corpus  # noqa: B018
    write([""], "b.txt")
    with pytest.raises(UserError, match=f"^{re.escape(bad)} has only blank lines"):
        CharDataModule(f"{tmp_path}/*.txt").corpus  # noqa: B018


def test_ready_made_splits_may_have_several_files_each(write: Callable[..., str], tmp_path: Path) -> None:
    for i, lines in enumerate((["a"], ["b", "c"], ["d"], ["e", "f"], ["g"])):
        write(lines, f"{i}.txt")
    train, val, test = f"{tmp_path}/[01].txt", [f"{tmp_path}/2.txt", f"{tmp_path}/3.txt"], f"{tmp_path}/4.txt"
    for data, expected in (
        (CharDataModule(train, val, test), ["abc", "def", "g"]),
        (CharDataModule(train, val), ["abc", "def", ""]),
        (CharDataModule(train, test_path=val), ["abc", "", "def"]),
    ):
        splits = (data.split.train, data.split.val, data.split.test)
        assert ["".join(data.corpus.line(int(i)) for i in lines) for lines in splits] == expected


def test_the_log_names_the_path_as_given_the_number_of_files_and_repeated_files(
    write: Callable[..., str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a, _ = write(["emma"], "a.txt"), write(["ava"], "b.txt")
    with caplog.at_level(logging.INFO, "sequentia"):
        CharDataModule(f"{tmp_path}/*.txt", val_fraction=0, test_fraction=0).setup("fit")
        CharDataModule([a, a], val_fraction=0, test_fraction=0).setup("fit")
    assert caplog.messages[0].startswith(f"data {tmp_path}/*.txt (2 files): 2 lines (2 distinct)")
    assert caplog.messages[1].startswith(f"data {a}, {a} (2 files): 2 lines (1 distinct)")
    assert caplog.messages[2:] == [f"files given more than once, so their lines count more than once: {a}"]
    assert shown(list("abcde")) == "a, b, c and 2 more"


def test_the_cache_key_covers_all_files(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_MIN_BYTES", 1)
    a, b = write(["emma"], "a.txt"), write(["ava"], "b.txt")
    for lines in (["ava"], ["mia"]):
        write(lines, "b.txt")
        for _ in range(2):
            assert same(CharDataModule(f"{tmp_path}/*.txt").corpus, read_corpus([a, b]))
    assert len(list((tmp_path / "cache" / "sequentia").iterdir())) == 2
