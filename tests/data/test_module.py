"""The data module's options: the default batch size, the ranges, and the log line that reports the data."""

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sequentia
from sequentia.data import CharDataModule
from sequentia.data.batches import EvalBatches
from sequentia.data.module import default_batch_size
from sequentia.errors import UserError


@pytest.mark.parametrize(
    ("lines", "length", "vocabulary", "batch_size"),
    # 2,000 characters are 286 lines of 7, 500 of 4, 4 of 501; an eighth of 200 lines is 25; the minimum is 1.
    [
        *((30_000, 7, 27, 256), (30_000, 4, 27, 512), (30_000, 501, 27, 4), (200, 7, 27, 32), (1, 7, 27, 1)),
        *((300_000, 4, 3_001, 512), (300_000, 4, 6_000, 256), (300_000, 4, 12_000, 128)),  # as many logits
    ],
)
def test_the_default_batch_has_about_2000_characters_and_about_an_eighth_of_the_lines_at_most(
    lines: int, length: int, vocabulary: int, batch_size: int
) -> None:
    assert default_batch_size(np.full(lines, length), vocabulary) == batch_size


def test_a_large_vocabulary_makes_evaluation_batches_smaller(write: Callable[..., str]) -> None:
    # 5,000 characters and the boundary, lines of 5: at most 2^24 logits, which 3,354 positions of 6 have.
    lines = ["".join(map(chr, range(start, start + 5))) for start in range(0x4E00, 0x4E00 + 5000, 5)]
    data = CharDataModule(write(["ab", "ba"]), val_path=write(lines, "val.txt"))
    loader = data.val_dataloader()
    assert isinstance(loader, EvalBatches)
    totals = [batch.total for batch in loader]
    assert max(totals) == 2**24 // len(data.vocabulary) // 6 * 6
    assert sum(totals) == 6 * len(lines)


def test_a_given_batch_size_overrides_the_default(write: Callable[..., str]) -> None:
    path = write(["emma"] * 100)
    for batch_size, number in ((None, 7), (7, 15)):  # the default is 16
        data = CharDataModule(path, batch_size=batch_size, val_fraction=0, test_fraction=0)
        assert len(list(data.train_dataloader())) == number


def test_setup_logs_the_data_once(write: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    data = CharDataModule(path := write(["emma"] * 100), val_fraction=0, test_fraction=0)
    with caplog.at_level("INFO"):
        data.setup("fit")
        data.setup("test")
    assert data.batch_size == 16
    assert caplog.messages == [
        f"data {path}: 100 lines (1 distinct), 400 characters, longest line 4, vocabulary 4 with the boundary; "
        "train 100, val 0, test 0; batches of 16 lines"
    ]


def checksum(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def test_fingerprint_split_and_batches_of_a_file_never_change(write: Callable[..., str]) -> None:
    """Checkpoints record the fingerprint; another split would mix the training and test lines of earlier runs."""
    csv = write('id,name\r\n1,"zoë\r\nx"\r\n2,\r\n3,emma\r\n4, 李 \r\n5,a.b\r\n'.encode("utf-8-sig"), "a.csv")
    jsonl = write(b'{"name": "ava"}\n{"name": 1.50}\n\n{"name": null}\n{"id":2}\n{"name":"mi\\na"}\n', "b.jsonl")
    text = write("\ufeffzoë\r\n  emma \r\rava\n\u3000\n李".encode(), "c.txt")
    nothing_held_out: dict[str, Any] = {"val_fraction": 0, "test_fraction": 0}
    for data, *expected in (
        (CharDataModule(), "ea538524fafaee158e8db43267d08052", "9466e9662632844d", "057bdcfd590d95aa"),
        (
            CharDataModule([csv, jsonl], column="name", **nothing_held_out),
            *("2278ea8c9559d34015c49c2ce2b6c684", "81845a01dafa45c9", "1eeda7085bade202"),
        ),
        (
            CharDataModule(text, **nothing_held_out),
            *("e67f510a28dd84edcb9605c4a81eaf4e", "a1e03200f1f82ad2", "64557aef5540c40c"),
        ),
    ):
        context, target, position, _ = next(iter(data.train_dataloader()))
        batch = checksum(tensor.numpy() for tensor in (context, target, position))
        assert [
            data.state_dict()["fingerprint"],
            checksum((data.split.train, data.split.val, data.split.test)),
            batch,
        ] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"long_lines": "cut"}, "long_lines must be drop or split, got 'cut'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"val_fraction": -0.1}, "must be in [0, 1) and sum to less than 1, got -0.1 and 0.1"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "must be in [0, 1) and sum to less than 1, got 0.5 and 0.5"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        CharDataModule(**options)


def test_too_few_lines_are_refused_with_a_remedy_that_works(write: Callable[..., str]) -> None:
    novel = "It was the best of times. It was the worst of times. " * 50
    for lines, message in (
        (["emma"], "1 of at most max_length 256 characters, 0 longer; put one .* on each of several lines$"),
        ([novel], "0 of at most max_length 256 characters, 1 longer; .* or cut long lines with long_lines split$"),
        (["a title", novel], "1 of at most max_length 256 characters, 1 longer; .* with long_lines split$"),
    ):
        with pytest.raises(UserError, match=message):
            CharDataModule(write(lines)).corpus  # noqa: B018
    data = CharDataModule(write([novel]), long_lines="split", val_fraction=0, test_fraction=0)
    assert len(data.split.train) == 11


def test_the_windows_of_a_line_are_in_one_split(write: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    whole = ["".join(letters) for letters in np.random.default_rng(0).choice(list("abcdefgh"), (200, 300))]
    data = CharDataModule(write(whole), max_length=100, long_lines="split")
    with caplog.at_level("INFO"):
        data.setup("fit")
    assert caplog.messages[1:] == ["lines dropped: 0 blank; 200 longer than max_length 100 are cut into 600 lines"]
    for split in (data.split.train, data.split.val, data.split.test):
        assert [data.corpus.line(i) for i in split] == [
            line[start : start + 100] for i, line in enumerate(whole) if 3 * i in split for start in (0, 100, 200)
        ]


@pytest.mark.parametrize(("num_long", "level"), [(2, "INFO"), (3, "WARNING")])
def test_losing_more_than_2_percent_of_the_lines_for_their_length_is_a_warning(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture, num_long: int, level: str
) -> None:
    data = CharDataModule(write(["emma"] * (100 - num_long) + ["x" * 9] * num_long), max_length=8)
    with caplog.at_level("INFO"):
        data.setup("fit")
    (record,) = (record for record in caplog.records if "lines dropped" in record.message)
    assert record.levelname == level
    assert ("(3% of the lines): raise max_length, or cut them with long_lines split" in record.message) == (
        num_long > 2
    )


@pytest.mark.parametrize(("package", "other"), [("data", "models"), ("models", "data")])
def test_data_and_models_do_not_import_each_other(package: str, other: str) -> None:
    for path in (Path(sequentia.__file__).parent / package).glob("*.py"):
        assert not re.search(rf"^\s*(from|import) sequentia\.{other}\b", path.read_text(encoding="utf-8"), re.M), path
