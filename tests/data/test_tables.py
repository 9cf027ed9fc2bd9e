"""A column of a table is read as the text file with one cell per line is, or refused with one line."""

import csv
import gzip
import io
import json
import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sequentia.data import CharDataModule, cache, json_array, source, tables
from sequentia.data.corpus import read_corpus
from sequentia.data.tables import Cells, table_format
from sequentia.errors import UserError
from tests.data.conftest import same

FEW = settings(derandomize=True, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CELLS = st.text(
    st.sampled_from("ab,;\t\"'\\ \n\r[]{}:é\u2028\x85\U0001f600") | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=8,
)
BLOCKS = st.sampled_from([1, 3, 17, 1 << 22])


def joined(cell: str) -> str:
    """The line that a cell becomes."""
    return re.sub("\r\n|\r|\n", " ", cell.strip())


def read(content: bytes, suffix: str, column: str | int, block: int = 1 << 22) -> tuple[list[str], int]:
    """The cells of a column, read in small blocks, and the number of those with line breaks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK", block)
        patch.setattr(tables, "_BLOCK", block)
        cells = Cells(io.BytesIO(content), f"table.{suffix}", column)
        text = "".join(cells)
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1], cells.num_joined


@FEW
@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=8)),
    st.data(),
    st.sampled_from(["csv", "tsv"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    BLOCKS,
)
def test_a_written_table_reads_back_equal(
    rows: list[list[str]], data: st.DataObject, suffix: str, end: str, block: int
) -> None:
    names = [f"name {i}" for i in range(len(rows[0]))]
    index = data.draw(st.integers(0, len(names) - 1))
    text = io.StringIO(newline="")
    csv.writer(text, delimiter="," if suffix == "csv" else "\t", lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [names, *rows]
    )
    content = text.getvalue().encode("utf-8-sig")
    expected = [joined(row[index]) for row in rows]
    breaks = sum("\n" in row[index].strip() or "\r" in row[index].strip() for row in rows)
    assert read(content, suffix, names[index], block) == (expected, breaks)
    assert read(content, suffix, index + 1, block) == ([names[index], *expected], breaks)
    assert csv.field_size_limit() == 131_072  # it is global, so it must be restored


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | CELLS, lambda v: st.lists(v, max_size=3), max_leaves=5
)


@FEW
@given(
    st.lists(st.fixed_dictionaries({}, optional={"a": CELLS | st.none(), "b": VALUES}), max_size=8),
    BLOCKS,
    st.sampled_from([None, 1]),
    st.booleans(),
)
@example([{"a": "😀"}], 1, None, True)
def test_json_objects_read_as_by_the_json_module(
    rows: list[dict[str, Any]], block: int, indent: int | None, ascii_only: bool
) -> None:
    rows = [{"a": "first"}, *rows]
    expected = [joined(row.get("a") or "") for row in rows]
    array = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    lines = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    assert read(array.encode("utf-8-sig"), "json", "a", block)[0] == expected
    assert read(lines.encode(), "jsonl", "a", block)[0] == expected


@FEW
@given(st.lists(CELLS | st.none(), max_size=8), BLOCKS)
def test_an_array_of_strings_is_a_single_column(rows: list[str | None], block: int) -> None:
    assert read(json.dumps(rows).encode(), "json", 1, block)[0] == [joined(row or "") for row in rows]


@pytest.mark.parametrize("block", [1, 1 << 22])
def test_numbers_keep_the_text_that_they_have_in_the_file(block: int) -> None:
    numbers = ["1", "-2.50", "1e5", "123456789012345678901234567890.10", "9" * 5000]
    text = ",".join(numbers)
    assert read(f"[{text}, null, NaN]".encode(), "json", 1, block)[0] == [*numbers, "", ""]
    assert read(f'[["x", {numbers[1]}]]'.encode(), "json", 2, block)[0] == ["-2.50"]


TABLES: dict[str, bytes] = {
    "t.csv": b"id,name\n1,emma\n2,\n3,ava\n", "head.csv": b"name\nemma\n\nava\n",
    "t.tsv": b"name\tid\nemma\t1\n\t2\nava\t3\n",
    "t.csv.gz": gzip.compress(b"name\nemma\n\nava\n"), "t.JSON": b'[{"name": "emma"}, {"name": null}, {"name": "ava"}]',
    "t.jsonl": b'{"name": "emma"}\n{}\n{"name": "ava"}\n', "blank.jsonl": b'{"name": "emma"}\n\n{"name": "ava"}',
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_column_gives_the_corpus_of_its_cells_as_a_text_file(write: Callable[..., str], name: str) -> None:
    corpus = read_corpus([write(TABLES[name], name)], column="name")
    assert same(corpus, read_corpus([write(["emma", "", "ava"], "plain.txt")]))


def test_the_format_is_the_suffix_before_the_compression() -> None:
    for path, expected in {
        "a.csv": "csv", "a.TSV.xz": "tsv", "s3://b/a.jsonl.bz2": "jsonl", "https://a.org/x.json?y=1.txt": "json",
        "simplecache::https://a.org/x.csv.gz": "csv", "zip://x.csv::a.zip": "csv", "csv": None, "a.csv.txt": None,
        ".csv/a": None, "http://[": None, "": None, "names": None,
    }.items():  # fmt: skip
        assert table_format(path) == expected, path


@pytest.mark.parametrize(
    ("suffix", "content", "column", "message"),
    [
        ("csv", b"name,id\na,1\n", "nme", "table.csv has no column 'nme': choose one of name, id"),
        ("csv", b"name,id\na,1\n", 3, "table.csv has no column 3: it has 2"),
        ("csv", b"x,x\na,1\n", "x", "table.csv has 2 columns with the name 'x': rename all but one"),
        ("csv", b"a,b\n1,2\n1,2,3\n", "a", 'line 3 of table.csv has 3 columns, and the first has 2: put cells'),
        ("tsv", b"a\tb\n1\n", "a", "line 2 of table.tsv has 1 columns, and the first has 2: put cells"),
        ("csv", b'a\n"x\ny', "a", "line 2 of table.csv is not valid CSV (unexpected end of data)"),
        ("csv", b'a\n"x\ny"\n"b"c\n', "a", "line 4 of table.csv is not valid CSV (',' expected after"),
        ("csv", b"a\nb\0\n", "a", "table.csv is not a text file: byte 3 is NUL"),
        ("csv", b"a\n\xff\n", "a", "table.csv is not UTF-8 text: byte 2 is invalid"),
        ("json", b"[1,\xc3\xc3]", 1, "table.json is not UTF-8 text: byte 3 is invalid"),
        ("csv", b"a\n" + b"x" * (10 << 20), "a", "line 2 of table.csv has a cell of more than 4,194,304 characters"),
        ("json", b'[\n"' + b"x" * (10 << 20) + b'"]', 1, "line 2 of table.json is not valid JSON (an element of more"),
        ("csv", ",".join(f"c{i}" for i in range(100_000)).encode(), "x", "table.csv has no column 'x': choose one of"),
        ("json", b'{"a": 1}', "a", "table.json is not a JSON array: give one array"),
        ("json", b'["a",\n\n"b" "c"]', 1, "line 3 of table.json is not valid JSON (Expecting ',' or ']')"),
        ("json", b'["a",]', 1, "line 1 of table.json is not valid JSON (Expecting value)"),
        ("json", b'["a"]\n["b"]', 1, "line 2 of table.json is not valid JSON (Extra data after the array)"),
        ("json", b'["a', 1, "line 1 of table.json is not valid JSON (Unterminated string"),
        ("json", b"[" * 100_000, 1, "line 1 of table.json is not valid JSON (nested too deeply)"),
        ("jsonl", b"[" * 100_000, 1, "line 1 of table.jsonl is nested too deeply"),
        ("jsonl", b'{"a": 1}\n{"a": tru}\n', "a", "line 2 of table.jsonl is not valid JSON (Expecting value at"),
        ("jsonl", b'{"a": [1]}\n', "a", "line 1 of table.jsonl has an array in column 'a': an example is a string or"),
        ("jsonl", b'{"a": true}\n', "a", "line 1 of table.jsonl has true or false in column 'a'"),
        ("jsonl", b'{"a": "\\u0000"}\n', "a", "line 1 of table.jsonl has an escaped NUL or lone surrogate"),
        ("jsonl", b'{"a": "\\ud800"}\n', "a", "line 1 of table.jsonl has an escaped NUL or lone surrogate"),
        ("jsonl", b'{"a": 1}\n{"b": 2}\n', "c", "table.jsonl has no column 'c': choose one of a"),
        ("jsonl", b'"a"\n', "a", "line 1 of table.jsonl is a string or number, which has no keys: give the number"),
        ("jsonl", b'"a"\n', 2, "line 1 of table.jsonl has no column 2: it has 1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("block", [1000, 1 << 22])
def test_a_bad_table_is_refused_with_its_line_in_at_most_400_characters(
    suffix: str, content: bytes, column: str | int, message: str, block: int
) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}") as error:
        read(content, suffix, column, block if len(content) < 1 << 20 else 1 << 22)
    assert len(str(error.value)) <= 400
    assert "\n" not in str(error.value)


def test_a_table_of_100_000_columns_is_read() -> None:
    row = ",".join(f"c{i}" for i in range(100_000))
    assert read(f"{row}\n{row}\n".encode(), "csv", "c99999")[0] == ["c99999"]


def test_few_rows_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a million rows, only as much is read as the first block of cells needs."""
    monkeypatch.setattr(source, "_BLOCK", 1 << 12)
    monkeypatch.setattr(tables, "_BLOCK", 1 << 12)
    for suffix, start, row in (
        ("csv", b"a,b\n", b"emma,1\n"),
        ("jsonl", b"", b'{"a":"emma"}\n'),
        ("json", b"[", b'{"a":"e"},'),
    ):
        with tempfile.TemporaryFile() as file:
            file.write(start + row * 1_000_000)
            file.seek(0)
            block = next(iter(Cells(file, f"table.{suffix}", "a")))
            assert len(block) < 2 << 12
            assert file.tell() < 1 << 16


def test_dropped_and_joined_cells_are_counted_also_from_the_cache(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_MIN_BYTES", 1)
    path = write(b'name\n"a\nb"\n"c\r\nd "\n\nemma\n', "t.csv")
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO, "sequentia"):
            data = CharDataModule(path, column="name", val_fraction=0, test_fraction=0)
            data.setup("fit")
        assert [data.corpus.line(i) for i in range(len(data.corpus))] == ["a b", "c d", "emma"]
        assert caplog.messages[1:] == [
            "lines dropped: 1 blank, 0 longer than data.max_length 256",
            "line breaks in 2 cells were replaced by spaces",
        ]


def test_column_and_format_are_part_of_the_cache_key(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_MIN_BYTES", 1)
    content = b"a\tx,b\nc\td,e\nf\tg,h\n"
    cases: list[tuple[str, str | int | None, list[str]]] = [
        ("t.csv", "b", ["e", "h"]), ("t.csv", 2, ["b", "e", "h"]), ("t.csv", "2", ["b", "e", "h"]),
        ("t.tsv", 2, ["x,b", "d,e", "g,h"]), ("t.csv", None, ["a\tx,b", "c\td,e", "f\tg,h"]),
    ]  # fmt: skip
    for name, column, expected in cases:
        corpus = CharDataModule(write(content, name), column=column).corpus
        assert [corpus.line(i) for i in range(len(corpus))] == expected
    assert len(list((tmp_path / "cache" / "sequentia").iterdir())) == 4
    with pytest.raises(
        UserError, match=r"data\.column is for tables \(.*\), and .*t\.txt is none: omit --data\.column"
    ):
        CharDataModule(write(content, "t.txt"), column="b").corpus  # noqa: B018


def test_tables_without_a_column_are_read_as_raw_lines_with_one_warning(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    paths = [write(b"name,id\nemma,1\n", "t.csv"), write(gzip.compress(b'{"a": 1}\n'), "t.jsonl.gz"), write(["ava"])]
    data = CharDataModule(paths, val_fraction=0, test_fraction=0)
    data.setup("fit")
    assert [data.corpus.line(i) for i in range(4)] == ["name,id", "emma,1", '{"a": 1}', "ava"]
    assert caplog.messages == [
        f"{paths[0]}, {paths[1]}: read as raw lines; if the examples are one column of a table, choose it with "
        "--data.column NAME_OR_NUMBER"
    ]


def test_a_column_without_text_and_a_number_below_1_are_refused(write: Callable[..., str]) -> None:
    with pytest.raises(UserError, match=r"t\.csv has no text in column 'a': choose another column"):
        CharDataModule(write(b"a,b\n,1\n ,2\n", "t.csv"), column="a").corpus  # noqa: B018
    for column in (0, "0"):
        with pytest.raises(UserError, match=r"^data\.column counts from 1, got 0"):
            CharDataModule(column=column)
    with pytest.raises(UserError, match=r"^data\.column must be a name or a number, got 'True'"):
        CharDataModule(column=True)


def test_the_limits_of_csv_and_json_are_the_same() -> None:
    assert tables._MAX_CELL == json_array._MAX_ELEMENT
