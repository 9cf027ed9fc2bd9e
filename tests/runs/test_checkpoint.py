"""A checkpoint from a stranger runs no code and gives no silently wrong weight: it is refused in one line."""

import os
import pickle
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.errors import UserError
from sequentia.models import Bigram, Transformer
from sequentia.runs.checkpoint import load, origin, read_checkpoint
from tests.conftest import CommandResult
from tests.training.runs import same

FLIPS = 1000
"""Flipped bits in a default run; a slow one flips each of the file."""


@pytest.fixture
def checkpoint(save_run: Callable[..., Path]) -> Path:
    """A checkpoint of a small Transformer."""
    torch.manual_seed(1)
    return save_run(Transformer("abc", 8, n_layer=1, n_head=2, n_embd=8)) / "best.ckpt"


def refusal(path: Path) -> str:
    """The line with which a checkpoint is refused."""
    with pytest.raises(UserError, match=f"^refused {re.escape(str(path))}: .+") as refused:
        load(path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500
    return str(refused.value)


def flip(path: Path, bits: Iterable[int]) -> int:
    """Flip single bits of a checkpoint; returns how many of them were noticed. The others must change nothing."""
    original, expected = path.read_bytes(), read_checkpoint(path)
    damaged, noticed = path.with_name("damaged.ckpt"), 0
    for bit in bits:
        content = bytearray(original)
        content[bit // 8] ^= 1 << bit % 8
        damaged.write_bytes(content)
        try:
            found = read_checkpoint(damaged)
        except UserError:
            noticed += 1
        else:
            same(found, expected, f"bit {bit}")
    return noticed


def test_a_flipped_bit_is_refused_or_changes_nothing(checkpoint: Path) -> None:
    draw = random.Random(0)
    assert flip(checkpoint, draw.sample(range(8 * checkpoint.stat().st_size), FLIPS)) > FLIPS // 2


@pytest.mark.slow
def test_each_flipped_bit_is_refused_or_changes_nothing(checkpoint: Path) -> None:
    bits = 8 * checkpoint.stat().st_size
    assert flip(checkpoint, range(bits)) > bits // 2


def mark_as_directory(path: Path) -> None:
    """Mark the largest weight as a directory, of which PyTorch reads nothing."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = max((e for e in archive.infolist() if "/data/" in e.filename), key=lambda e: e.file_size)
        start = archive.start_dir
    content[content.index(entry.filename.encode(), start) - 46 + 38] |= 0x10
    path.write_bytes(content)


class Payload:
    """Creates the file `owned` if it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch owned",)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "it is damaged, or not a checkpoint"),
    "truncated": (lambda path: os.truncate(path, path.stat().st_size - 1), "it is damaged, or not a checkpoint"),
    "a weight marked as a directory": (mark_as_directory, "it is damaged: data is marked as a directory"),
    "a bare pickle": (lambda path: path.write_bytes(pickle.dumps(Payload())), "it is damaged, or not a checkpoint"),
    "a tensor": (lambda path: torch.save(torch.zeros(3), path), "it is not a sequentia checkpoint"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_checkpoint_is_refused(
    checkpoint: Path, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    replace, reason = FILES[kind]
    replace(checkpoint)
    assert reason in refusal(checkpoint)
    assert not Path("owned").exists()


WEIGHT = "blocks.0.attention.qkv.weight"
GONE = object()
FORGED: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "a payload": (("hyper_parameters", "n_layer"), Payload(), "it is damaged, or not a checkpoint"),
    "a function": (("more",), os.system, "it is damaged, or not a checkpoint"),
    "no format": (("sequentia",), GONE, "it is not a sequentia checkpoint"),
    "a later format": (("sequentia", "format"), 2, "its format is 2; this version reads format 1"),
    "a function as architecture": (("sequentia", "architecture"), "os.system", "give --trust os"),
    "no weights": (("state_dict",), GONE, "it does not match the architecture Transformer"),
    "an unknown hyperparameter": (("hyper_parameters", "shell"), "touch owned", "unexpected keyword argument 'shell'"),
    "a size as text": (("hyper_parameters", "n_embd"), "eight", "n_embd must be at least 1, got 'eight'"),
    "more memory than there is": (("hyper_parameters", "n_embd"), 2**20, "not enough memory"),
    "a missing weight": (("state_dict", WEIGHT), GONE, "it does not match the architecture Transformer"),
    "a weight of another shape": (("state_dict", WEIGHT), torch.zeros(2, 2), "not match the architecture Transformer"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_content_is_refused(
    checkpoint: Path, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (*keys, last), value, reason = FORGED[kind]
    content = read_checkpoint(checkpoint)
    part = content
    for key in keys:
        part = part[key]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    torch.save(content, checkpoint)
    assert reason in refusal(checkpoint)
    assert not Path("owned").exists()


@pytest.mark.parametrize("name", ["sample", "score", "test"])
def test_a_command_refuses_a_checkpoint_in_one_line_that_names_another(
    trained: Path, tmp_path: Path, command: Callable[..., CommandResult], name: str
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    os.truncate(run / "best.ckpt", 1000)
    result = command(name, *(["ava"] if name == "score" else []), "--ckpt_path", run)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"sequentia: refused {run}/best.ckpt: it is damaged, or not a checkpoint "
        f"(BadZipFile: File is not a zip file); use {run}/last.ckpt instead\n"
    )


@pytest.mark.parametrize("name", ["sample", "score", "test"])
def test_weights_that_give_no_probabilities_are_a_mistake(
    trained: Path, checkpoint: Path, command: Callable[..., CommandResult], name: str
) -> None:
    content = read_checkpoint(checkpoint)
    content["state_dict"]["position_embedding.weight"][1:] = 3e38
    torch.save(content, checkpoint)
    (checkpoint.parent / "abc.txt").write_text("a\nab\nbc\ncab\nb\nca\nc\nacb\n")
    options = {"score": ["ab"], "test": [f"--data.path={checkpoint.parent}/abc.txt", "--data.test_fraction=0.5"]}
    result = command(name, *options.get(name, []), "--ckpt_path", checkpoint)
    assert result.code == 2
    assert re.fullmatch("sequentia: .*probabilities.* NaN.*", result.err.splitlines()[-1])


def test_a_checkpoint_written_again_gives_the_same_model_and_draws_no_random_numbers(checkpoint: Path) -> None:
    torch.save(read_checkpoint(checkpoint), checkpoint.with_name("copy.ckpt"))
    before = torch.get_rng_state()
    models = [load(path) for path in (checkpoint, checkpoint.with_name("copy.ckpt"))]
    assert torch.equal(torch.get_rng_state(), before)
    assert models[0].sample(5, seed=1) == models[1].sample(5, seed=1)


def test_a_loaded_model_remembers_its_origin_and_no_other_does(checkpoint: Path, trained: Path) -> None:
    assert origin(Bigram("ab", 3)) is None
    assert origin(load(checkpoint)) == (checkpoint, None)
    assert origin(load(trained)) == (trained / "best.ckpt", read_checkpoint(trained / "best.ckpt")["CharDataModule"])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "best.ckpt")
    with pytest.raises(UserError, match="no checkpoint"):
        load(tmp_path / "best.ckpt")
