"""Lines with labels: where they are read, and what they mean for splits, duplicates and batches."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from sequentia.data import CharDataModule
from sequentia.data.batches import make_batch
from sequentia.errors import UserError

PEOPLE = b"""id,name,land
1,emma,de
2,ava, fr
3,mia,
4,emma,fr
"""


def examples(data: CharDataModule) -> list[tuple[str, str]]:
    """Label and text of each line."""
    corpus = data.corpus
    starts = corpus.starts(np.arange(len(corpus))).tolist()
    return [(corpus.vocabulary.label(start), corpus.line(i)) for i, start in enumerate(starts)]


@pytest.mark.parametrize(
    ("content", "name", "column", "label"),
    [
        (PEOPLE, "people.csv", "name", "land"),
        (PEOPLE, "people.txt", 2, "LAND"),
        (PEOPLE.replace(b"id,name,land\n", b"").replace(b",", b"\t"), "people.tsv", 2, 3),
        (b'[{"n":"emma","l":"de"},{"n":"ava","l":"fr"},{"n":"mia"},{"n":"emma","l":"fr"}]', "p.json", None, "l"),
        (b"land;name\nde;emma\nfr;ava\n;mia\nfr;emma\n", "two.csv", None, "land"),
    ],
)
def test_labels_are_a_column_beside_that_of_the_lines(
    write: Callable[..., str], content: bytes, name: str, column: str | int | None, label: str | int
) -> None:
    data = CharDataModule(write(content, name), column=column, label=label, val_fraction=0, test_fraction=0)
    assert examples(data) == [("de", "emma"), ("fr", "ava"), ("", "mia"), ("fr", "emma")]
    assert data.vocabulary.plain == {"characters": "aeimv", "labels": {"": 1, "de": 1, "fr": 2}}


def test_the_name_of_a_file_is_the_label_of_its_lines(tmp_path: Path) -> None:
    for name, text in {"Czech.txt": "abl\nadsit\n", "Irish.v2.csv": "name,n\nahearn,1\nadams,2\n"}.items():
        (tmp_path / name).write_text(text)
    data = CharDataModule(str(tmp_path / "*.txt"), label="filename", val_fraction=0, test_fraction=0)
    assert examples(data) == [("Czech", "abl"), ("Czech", "adsit")]
    data = CharDataModule(str(tmp_path / "I*"), label="filename", column="name", val_fraction=0, test_fraction=0)
    assert examples(data) == [("Irish", "ahearn"), ("Irish", "adams")]


def test_the_packaged_names_have_the_label_sex() -> None:
    data, plain = CharDataModule("names", label="sex"), CharDataModule("names")
    assert data.vocabulary.labels == ("F", "M")
    assert data.vocabulary.characters == plain.vocabulary.characters
    for name in ("train", "val", "test"):  # labels move no line
        assert np.array_equal(getattr(data.split, name), getattr(plain.split, name))
    assert data.vocabulary.label_counts.sum() == len(data.split.train)
    assert data.state_dict() != plain.state_dict()


def test_the_same_text_with_two_labels_is_two_examples_in_one_split(write: Callable[..., str]) -> None:
    rows = "".join(f"{text},{label}\n" for text in ("ab", "ba", "aab", "bb", "ca", "cb") for label in "xyyx")
    path = write(f"text,label\n{rows}".encode(), "t.csv")
    data = CharDataModule(path, column="text", label="label", deduplicate=True, val_fraction=0.3, test_fraction=0.3)
    kept = [[examples(data)[i] for i in lines] for lines in (data.split.train, data.split.val, data.split.test)]
    texts = ("aab", "ab", "ba", "bb", "ca", "cb")
    assert sorted(chain.from_iterable(kept)) == [(label, text) for label in "xy" for text in texts]
    for split in kept:
        assert {text for label, text in split if label == "x"} == {text for label, text in split if label == "y"}


def test_a_batch_reads_the_label_and_predicts_the_boundary(write: Callable[..., str]) -> None:
    path = write(b"text,label\nab,x\nc,y\nba,\n", "t.csv")
    data = CharDataModule(path, column="text", label="label", val_fraction=0, test_fraction=0)
    batch = make_batch(data.corpus, np.arange(3))
    kept = batch.target >= 0
    found = zip(batch.context[kept].tolist(), batch.target[kept].tolist(), batch.position[kept].tolist(), strict=True)
    assert sorted(found, key=str) == sorted(
        [(4, 1, 0), (1, 2, 1), (2, 0, 2), (5, 3, 0), (3, 0, 1), (0, 2, 0), (2, 1, 1), (1, 0, 2)], key=str
    )


def test_a_label_of_held_out_lines_alone_is_named(write: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    train, val = write(b"t,l\nab,y\nba,x\n", "t.csv"), write(b"t,l\nab,z\nab,x\n", "v.csv")
    data = CharDataModule(train, val_path=val, column="t", label="l")
    with caplog.at_level("INFO"):
        data.setup("fit")
    assert data.vocabulary.plain == {"characters": "ab", "labels": {"x": 1, "y": 1, "z": 0}}
    assert "4 lines (4 distinct)" in caplog.text
    assert caplog.messages[-1] == "labels of no training line, which cannot be learned: z"


def test_pieces_of_a_long_line_keep_its_label(write: Callable[..., str]) -> None:
    path = write(b"t,l\nabcdef,x\n,x\nba,y\n", "t.csv")
    data = CharDataModule(
        path, column="t", label="l", max_length=3, long_lines="split", val_fraction=0, test_fraction=0
    )
    assert examples(data) == [("x", "abc"), ("x", "def"), ("y", "ba")]


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        (b"emma\nava\n", "sex", "no column 'sex'"),
        (b">a\nMKV\n>b\nMKL\n", "sex", "is read as FASTA, which has no columns: omit label"),
        (PEOPLE, "nationality", "no column 'nationality'"),
        (b"name,id\n" + b"".join(b"emma,%d\n" % i for i in range(40)), "id", "40 different labels in 40 lines"),
    ],
)
def test_a_column_that_holds_no_labels_is_refused(
    write: Callable[..., str], content: bytes, label: str, message: str
) -> None:
    data = CharDataModule(write(content, "t.txt"), label=label)
    with pytest.raises(UserError, match=message):
        data.setup("fit")
