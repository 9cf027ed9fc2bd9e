"""A file or directory is written as a whole or not at all, and nothing else is touched."""

import os
import stat
from pathlib import Path

import pytest

from sequentia.errors import UserError
from sequentia.files import expanded, remove_leftovers, replacing


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "a.txt").write_text("new")
        assert not path.exists()
    assert (path / "a.txt").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("directory", [False, True])
def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path, directory: bool) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            if directory:
                temporary.mkdir()
            (temporary / "b" if directory else temporary).write_text("half")
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_os_error_names_the_file_the_cause_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.txt"
    with (
        pytest.raises(UserError, match=r"cannot write .*a\.txt: No such file .*; create its directory, or do this$"),
        replacing(path, "do this") as temporary,
    ):
        temporary.write_text("new")


def test_the_temporary_path_cannot_be_predicted(tmp_path: Path) -> None:
    names = set()
    for _ in range(100):
        with replacing(tmp_path / "a.txt") as temporary:
            assert not os.path.lexists(temporary)
            names.add(temporary.name)
            temporary.write_text("")
    assert len(names) == 100
    assert all(len(name) >= len(".a.txt.") + 16 for name in names)  # 64 random bits in hexadecimal


def test_a_symlink_at_the_path_is_replaced_and_its_target_is_not_written(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "a.txt"
    target.write_text("keep")
    path.symlink_to(target)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "keep"
    assert path.read_text() == "new"
    assert not path.is_symlink()


def test_a_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "a.txt"
    other.write_text("")
    with replacing(path) as temporary:
        temporary.write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.0123456789abcdef.tmp").write_bytes(b"half")
    (tmp_path / "last.ckpt").write_bytes(b"whole")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_tilde_is_the_home_directory_of_an_existing_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    assert expanded("~") == "/home/me"
    assert expanded(Path("~/a b")) == "/home/me/a b"
    assert expanded("~root/x") == f"{Path('~root').expanduser()}/x"
    for unchanged in ("a/~/b", "./~nobody.txt", "https://a.org/~b", ""):
        assert expanded(unchanged) == unchanged
    with pytest.raises(UserError, match=r"no home directory ~nobody\.txt of ~nobody\.txt: give .*, or \./~nobody\.txt"):
        expanded("~nobody.txt")
    Path("~nobody.txt").touch()
    assert expanded("~nobody.txt") == "~nobody.txt"
