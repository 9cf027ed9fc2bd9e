"""A damaged checkpoint is refused or gives identical scores, and refusing a forged one is cheap."""

import json
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.errors import UserError
from sequentia.inference.scoring import score
from sequentia.models import ARCHITECTURES, Transformer
from sequentia.runs.archive import load_archive
from sequentia.runs.loading import load
from tests.runs.test_checkpoint import laughs, write_archive

FEW, MANY = 200, 20_000
"""Mutations in a default run and in a slow one."""

FORGED = 24
"""Files that claim more than they hold."""

Mutation = Callable[[random.Random, bytes, int, int], bytes]


def flip(rng: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Flip one bit."""
    at = rng.randrange(start, end)
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def overwrite(rng: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Set up to 8 bytes, each to a value that is likely to matter or to any."""
    at = rng.randrange(start, end)
    values = [rng.choice((0, 1, 0x10, 0x7F, 0x80, 0xFF, rng.randrange(256))) for _ in range(rng.randint(1, 8))]
    return content[:at] + bytes(values) + content[at + len(values) :]


def truncate(rng: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Cut off the rest of the file."""
    return content[: rng.randrange(start, end)]


def remove(rng: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Remove some bytes."""
    at = rng.randrange(start, end)
    return content[:at] + content[at + rng.randint(1, end - at) :]


def insert(rng: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Insert some bytes."""
    at = rng.randrange(start, end)
    return content[:at] + rng.randbytes(rng.randint(1, 64)) + content[at:]


def duplicate(rng: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Repeat some bytes, inserted or in place of what follows them."""
    at = rng.randrange(start, end)
    piece = content[at : at + rng.randint(1, end - at)]
    after = at + len(piece)
    return content[:after] + piece + content[after + rng.choice((0, len(piece))) :]


def move(rng: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Overwrite some bytes with others of the file."""
    at, source = rng.randrange(start, end), rng.randrange(len(content))
    piece = content[source : source + rng.randint(1, end - at)]
    return content[:at] + piece + content[at + len(piece) :]


MUTATIONS: tuple[Mutation, ...] = (flip, flip, flip, overwrite, overwrite, truncate, remove, insert, duplicate, move)


def regions(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Start and end of each part of a checkpoint, by kind."""
    content = path.read_bytes()
    parts: dict[str, list[tuple[int, int]]] = {}
    with zipfile.ZipFile(path) as archive:
        entries, directory = archive.infolist(), archive.start_dir
    for entry in entries:
        start = entry.header_offset
        name, extra = (int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28))
        data = start + 30 + name + extra
        kind = "pickle" if entry.filename.endswith(".pkl") else "data"
        parts.setdefault("local header", []).append((start, data - extra))
        parts.setdefault("padding", []).append((data - extra, data))
        parts.setdefault(kind, []).append((data, data + entry.file_size))
    end = content.rindex(b"PK\6\6")
    return parts | {"directory": [(directory, end)], "end records": [(end, len(content))], "all": [(0, len(content))]}


def mutate(path: Path, seed: int, count: int) -> dict[str, int]:
    """Damage a checkpoint in so many ways, and hold the law for each; returns how many were refused, by region."""
    original, rng = path.read_bytes(), random.Random(seed)
    parts = {kind: [part for part in found if part[0] < part[1]] for kind, found in regions(path).items()}
    texts = ["", "ab", "bca", "cccccc"]
    expected = [s.log_probs.tolist() for s in score(load(path), texts)]
    refused = dict.fromkeys(parts, 0)
    damaged = path.with_name("damaged.ckpt")
    for _ in range(count):
        kind = rng.choice(list(parts))
        mutation = rng.choice(MUTATIONS)
        damaged.write_bytes(mutation(rng, original, *rng.choice(parts[kind])))
        try:
            found = [s.log_probs.tolist() for s in score(load(damaged), texts)]
        except UserError as error:
            message = str(error)
            refused[kind] += 1
        else:
            message = "" if found == expected else "the scores changed"
        assert message == "" or re.fullmatch(f"refused {re.escape(str(damaged))}: .+", message), (kind, mutation)
    return refused


@pytest.fixture
def checkpoint(save_run: Callable[..., Path]) -> Path:
    """A checkpoint of a small Transformer."""
    torch.manual_seed(1)
    return save_run(Transformer("abc", 8, n_layer=1, n_head=2, n_embd=8)) / "best.ckpt"


def test_a_damaged_checkpoint_is_refused_in_one_line_or_gives_identical_scores(checkpoint: Path) -> None:
    refused = mutate(checkpoint, seed=0, count=FEW)
    assert all(refused.values()), "damage in every region is noticed"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_a_checkpoint_damaged_in_many_ways_is_refused_or_gives_identical_scores(checkpoint: Path, seed: int) -> None:
    assert all(mutate(checkpoint, seed, MANY).values())


def test_tensors_and_plain_values_are_read_as_they_were_written(tmp_path: Path) -> None:
    matrix = torch.arange(6.0).view(2, 3)
    dtypes = [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.uint8, torch.bool]
    tensors = [matrix, matrix.T, matrix[1], torch.zeros(0, 3), torch.tensor(1.5), *(matrix.to(d) for d in dtypes)]
    plain = {"a": [1, -1, 300, 70_000, 2**40, -(2**63), 2.5, "ä\n"], 5: (None, True, False, (), [], {}), "b": "a"}
    torch.save({"tensors": tensors, "plain": plain}, tmp_path / "a.ckpt")
    read = load_archive(tmp_path / "a.ckpt")
    assert read["plain"] == plain
    for one, other in zip(tensors, read["tensors"], strict=True):
        assert (one.dtype, one.stride()) == (other.dtype, other.stride())
        assert torch.equal(one, other)
    assert read["tensors"][1].data_ptr() == read["tensors"][0].data_ptr(), "views share their data"


@pytest.mark.slow
def test_a_checkpoint_of_the_deepest_model_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at most 300"):
        Transformer("abc", 8, n_layer=301)
    model = Transformer("abc", 8, n_layer=300, n_head=1, n_embd=2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 1, dtype=torch.long)).sum().backward()
    optimizer.step()
    torch.save({"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}, tmp_path / "a.ckpt")
    assert load_archive(tmp_path / "a.ckpt")["state_dict"].keys() == model.state_dict().keys()


def forged(directory: Path, checkpoint: Path) -> dict[str, int]:
    """Files that claim more than they hold; name -> size in bytes."""

    def save(name: str, **options: Any) -> None:
        content = torch.load(checkpoint, weights_only=True)
        content["hyper_parameters"] = {"vocabulary": "abc", "context_length": 8, **options}
        content["sequentia"]["architecture"] = name
        torch.save(content, directory / f"{name} {'+'.join(options)}.ckpt")

    for name in ARCHITECTURES:
        save(name, n_layer=10**9) if name in LAYERED else save(name, context_length=10**12)
    save("Mixture", members=[{"architecture": "Transformer", "copies": 300, "n_layer": 300}])
    save("Mixture", context_length=8, members=[{"architecture": "NGram"}] * 200_000)
    save("CNN", context_length=2**31, n_layer=300)
    torch.save({"more": laughs()}, directory / "laughs.ckpt")
    codec = b"c_codecs\nencode\n" * 10
    for name, opcodes in {
        "bytearray": b"cbuiltins\nbytearray\nJ\0\0\0\x7f\x85R",
        "nested encodings": codec + b"X\4\0\0\0\\\\\\\\X\x0e\0\0\0unicode_escape\x86R" * 10,
        "sparse memo": b"Nr\xff\xff\xff\xff",
        "announced bytes": b"\x8e" + (2**40).to_bytes(8, "little"),
        "dictionaries": b"}" * 2_000_000,
        "tuples in tuples": b"N" + b"\x85" * 1_000_000,
        "names": b"ccollections\nOrderedDict\n" * 600_000,
        "wide text": b"X" + (33_000_000).to_bytes(4, "little") + b"a" * 32_999_996 + "😀".encode(),
    }.items():
        write_archive(directory / f"{name}.ckpt", opcodes)
    write_archive(directory / "entries.ckpt", b"}", 60_000)
    return {path.name: path.stat().st_size for path in directory.glob("*.ckpt")}


LAYERED = {"RNN", "GRU", "LSTM", "CNN", "Transformer"}

MEASURE = """
import json, sys, time
from pathlib import Path
from sequentia.errors import UserError
from sequentia.runs.loading import load

def memory(name):  # in bytes
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024

load(sys.argv[1])  # imports, and what PyTorch allocates at first use
for name in json.loads(sys.argv[2]):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = memory("VmRSS:"), time.process_time()
    try:
        load(Path(sys.argv[3], name))
        raise SystemExit(f"{name} is accepted")
    except UserError as error:
        assert "refused" in str(error)
    print(json.dumps([name, memory("VmHWM:") - before, time.process_time() - start]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory can be reset only on Linux")
def test_a_forged_file_is_refused_within_500_megabytes_beyond_its_own_size(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "forged").mkdir()
    sizes = forged(tmp_path / "forged", checkpoint)
    command = [sys.executable, "-c", MEASURE, str(checkpoint), json.dumps(list(sizes)), str(tmp_path / "forged")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    measured = {name: (peak, seconds) for name, peak, seconds in map(json.loads, ended.stdout.splitlines())}
    assert measured.keys() == sizes.keys()
    assert len(measured) == FORGED
    for name, (peak, seconds) in measured.items():
        print(f"{name}: {sizes[name]:,} bytes, refused in {seconds:.1f} s and {peak >> 20} MB")  # with pytest -rP
        assert peak < (500 << 20) + sizes[name], name
