"""`module:function` is found in the current directory or installed; every mistake is one line."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sequentia.errors import UserError
from sequentia.evaluation.validity import load_valid
from sequentia.inference.conditions import is_valid

MODULE = """
import helper_of_my_check
number = 3
def short(text):
    return text and len(text) < helper_of_my_check.LIMIT
"""


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("my_check.py").write_text(MODULE)
    Path("helper_of_my_check.py").write_text("LIMIT = 4\n")
    Path("my_broken.py").write_text("1 / 0\n")
    Path("my_needy.py").write_text("import no_such_library\n")
    yield
    for name in [name for name in sys.modules if "my_" in name]:
        del sys.modules[name]


def test_the_module_and_its_imports_are_found_in_the_current_directory_or_installed() -> None:
    valid = load_valid("my_check:short")
    assert [is_valid(valid, text) for text in ("", "abc", "abcd")] == [False, True, False]
    assert sys.path[-1] == str(Path.cwd())  # no file of the directory replaces a library
    assert load_valid("keyword:iskeyword")("if")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_check", "is not of the form module:function"),
        ("my_check.py:short", "omit .py, as my_check:short"),
        ("my_chekc:short", "cannot import my_chekc:short: ModuleNotFoundError: .*; run this where its module is"),
        ("my_check:shrot", "cannot import my_check:shrot: AttributeError: .* has no attribute 'shrot'"),
        ("my_check:number", "expected a function, got int"),
        ("my_broken:f", "cannot import my_broken:f: ZeroDivisionError: division by zero"),
        ("my_needy:f", "cannot import my_needy:f: ModuleNotFoundError: No module named 'no_such_library'"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        load_valid(name)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_failure_names_the_text_without_its_control_characters() -> None:
    def strict(text: str) -> bool:
        raise ValueError("too long")

    with pytest.raises(UserError) as raised:
        is_valid(strict, "a\x1b" + "b" * 100)
    assert str(raised.value) == f"strict fails on 'a\\x1b{'b' * 57}…': ValueError: too long"
