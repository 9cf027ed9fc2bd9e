"""A column of a table is read as the text file with one cell per line is, or refused with one line."""

import csv
import gzip
import io
import json
import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequentia.data import CharDataModule, source, tables
from sequentia.data.corpus import read_corpus
from sequentia.data.reading import Reading
from sequentia.data.tables import cell_blocks, table_format
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


def read(content: bytes, suffix: str, column: str | int, block: int = 1 << 22) -> list[str]:
    """The cells of a column, read in small blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK", block)
        patch.setattr(tables, "_BLOCK", block)
        blocks = list(cell_blocks(io.BytesIO(content), f"table.{suffix}", str(column)))
    return [cell for cells in blocks for cell in cells]


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
    assert read(content, suffix, names[index], block) == expected
    assert read(content, suffix, index + 1, block) == [names[index], *expected]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | CELLS, lambda v: st.lists(v, max_size=3), max_leaves=5
)


@FEW
@given(st.lists(st.fixed_dictionaries({}, optional={"a": CELLS | st.none(), "b": VALUES}), max_size=8), st.booleans())
def test_json_objects_are_read_as_they_were_written(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    rows = [{"a": "first"}, *rows]
    expected = [joined(row.get("a") or "") for row in rows]
    lines = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    assert read(json.dumps(rows, ensure_ascii=ascii_only, indent=1).encode(), "json", "a") == expected
    assert read(lines.encode(), "jsonl", "a") == expected


def test_numbers_keep_the_text_that_they_have_in_the_file() -> None:
    numbers = ["1", "-2.50", "1e5", "123456789012345678901234567890.10", "9" * 5000]
    assert read(f"[{','.join(numbers)}, null, NaN]".encode(), "json", 1) == [*numbers, "", ""]
    assert read(f'[["x", {numbers[1]}]]'.encode(), "json", 2) == ["-2.50"]


def test_a_column_of_a_parquet_file_is_read_by_name_and_by_number() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="an optional dependency")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    table = pyarrow.table({"id": [1, 2, 3], "name": ["emma", None, " a\nb"], "list": [[1], [2], [3]]})
    parquet.write_table(table, file)
    assert read(file.getvalue(), "parquet", "name") == ["emma", "", "a b"]
    assert read(file.getvalue(), "parquet", 1) == ["1", "2", "3"]
    for content, column, message in (
        (file.getvalue(), "x", "table.parquet has no column 'x': choose one of id, name, list"),
        (file.getvalue(), "list", "table.parquet has a value of type list in column 'list'"),
        (file.getvalue()[:-10], "name", "cannot read table.parquet: "),
    ):
        with pytest.raises(UserError, match=f"^{re.escape(message)}"):
            read(content, "parquet", column)


def test_parquet_without_pyarrow_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"^table\.parquet cannot be read without pyarrow: pip install pyarrow$"):
        read(b"", "parquet", "name")


TABLES: dict[str, bytes] = {
    "t.csv": b"id,name\n1,emma\n2,\n3,ava\n", "head.csv": b"name\nemma\n\nava\n",
    "t.tsv": b"name\tid\nemma\t1\n\t2\nava\t3\n",
    "t.csv.gz": gzip.compress(b"name\nemma\n\nava\n"), "t.JSON": b'[{"name": "emma"}, {"name": null}, {"name": "ava"}]',
    "t.jsonl": b'{"name": "emma"}\n{}\n{"name": "ava"}\n', "blank.jsonl": b'{"name": "emma"}\n\n{"name": "ava"}',
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_column_gives_the_corpus_of_its_cells_as_a_text_file(write: Callable[..., str], name: str) -> None:
    corpus = read_corpus([write(TABLES[name], name)], Reading(column="name"))
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
        ("csv", b"name,id\na,1\n", 3, "table.csv has no column 3: it has 2, counted from 1"),
        ("csv", b"name,id\na,1\n", 0, "table.csv has no column 0: it has 2, counted from 1"),
        ("csv", b"x,x\na,1\n", "x", "table.csv has 2 columns with the name 'x': rename all but one"),
        ("csv", b"a,b\n1,2\n1,2,3\n", "a", 'line 3 of table.csv has 3 columns, and the first has 2: put cells'),
        ("tsv", b"a\tb\n1\n", "a", "line 2 of table.tsv has 1 columns, and the first has 2: put cells"),
        ("csv", b'a\n"x\ny', "a", "line 2 of table.csv is not valid CSV (unexpected end of data)"),
        ("csv", b'a\n"x\ny"\n"b"c\n', "a", "line 4 of table.csv is not valid CSV (',' expected after"),
        ("csv", b"a\nb\0\n", "a", "table.csv is not a text file: line 2 has a NUL"),
        ("csv", b"a\n\xff\n", "a", "table.csv is not UTF-8 text: line 2 has an invalid byte"),
        ("json", b"[1,\xc3\xc3]", 1, "table.json is not UTF-8 text: line 1 has an invalid byte"),
        ("csv", b"a\n" + b"x" * (1 << 18), "a", "line 2 of table.csv is not valid CSV (field larger than field limit"),
        ("csv", ",".join(f"c{i}" for i in range(100_000)).encode(), "x", "table.csv has no column 'x': choose one of"),
        ("json", b'{"a": 1}', "a", "table.json is not a JSON array: give one array"),
        ("json", b'["a",\n\n"b" "c"]', 1, "table.json is not valid JSON (Expecting ',' delimiter: line 3 column 5"),
        ("json", b'{"a": 1}\n{"a": 2}', "a", "table.json is not valid JSON (Extra data: line 2 column 1 (char 9)): a"),
        ("json", b"[" * 100_000, 1, "table.json is not valid JSON (maximum recursion depth"),
        ("json", b'["a", [["b"]]]', 1, "item 2 of table.json has a value of type list in column '1', which is not a"),
        ("jsonl", b"[" * 100_000, 1, "line 1 of table.jsonl is not valid JSON (maximum recursion depth"),
        ("jsonl", b'{"a": 1}\n{"a": tru}\n', "a", "line 2 of table.jsonl is not valid JSON (Expecting value: line 1"),
        ("jsonl", b'{"a": [1]}\n', "a", "line 1 of table.jsonl has a value of type list in column 'a', which is not a"),
        ("jsonl", b'{"a": true}\n', "a", "line 1 of table.jsonl has a value of type bool in column 'a'"),
        ("jsonl", b'{"a": 1}\n{"b": 2}\n', "c", "table.jsonl has no column 'c': choose one of a"),
        ("jsonl", b'"a"\n', "a", "line 1 of table.jsonl is not an object, so it has no keys: give the number"),
        ("jsonl", b'"a"\n', 2, "line 1 of table.jsonl has no column 2: it has 1, counted from 1"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_with_its_line_in_at_most_400_characters(
    suffix: str, content: bytes, column: str | int, message: str
) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}") as error:
        read(content, suffix, column)
    assert len(str(error.value)) <= 400
    assert "\n" not in str(error.value)


def test_blank_cells_are_counted_and_line_breaks_become_spaces(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(b'name\n"a\nb"\n"c\r\nd "\n\nemma\n', "t.csv")
    with caplog.at_level(logging.INFO, "sequentia"):
        data = CharDataModule(path, column="name", val_fraction=0, test_fraction=0)
        data.setup("fit")
    assert [data.corpus.line(i) for i in range(len(data.corpus))] == ["a b", "c d", "emma"]
    assert caplog.messages[1:] == ["lines dropped: 1 blank, 0 longer than max_length 256"]


def test_a_column_is_a_name_or_a_number_and_only_of_a_table(write: Callable[..., str]) -> None:
    content = b"a\tx,b\nc\td,e\nf\tg,h\n"
    cases: list[tuple[str, str | int | None, list[str]]] = [
        ("t.csv", "b", ["e", "h"]), ("t.csv", 2, ["b", "e", "h"]), ("t.csv", "2", ["b", "e", "h"]),
        ("t.tsv", 2, ["x,b", "d,e", "g,h"]), ("t.csv", None, ["a\tx,b", "c\td,e", "f\tg,h"]),
    ]  # fmt: skip
    for name, column, expected in cases:
        corpus = CharDataModule(write(content, name), column=column).corpus
        assert [corpus.line(i) for i in range(len(corpus))] == expected
    with pytest.raises(UserError, match=r"^column is for tables \(.*\), and .*t\.txt is not a table: omit column$"):
        CharDataModule(write(content, "t.txt"), column="b").corpus  # noqa: B018
    with pytest.raises(UserError, match=r"t\.csv has no text in column 'a': give another column or file"):
        CharDataModule(write(b"a,b\n,1\n ,2\n", "t.csv"), column="a").corpus  # noqa: B018
    with pytest.raises(UserError, match=r"^U\+D800 is half a surrogate pair, not a character$"):
        CharDataModule(write(b'["\\ud800"]', "t.json"), column=1).corpus  # noqa: B018


def test_tables_without_a_column_are_read_as_raw_lines_with_one_warning(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    paths = [write(b"name,id\nemma,1\n", "t.csv"), write(gzip.compress(b'{"a": 1}\n'), "t.jsonl.gz"), write(["ava"])]
    data = CharDataModule(paths, val_fraction=0, test_fraction=0)
    data.setup("fit")
    assert [data.corpus.line(i) for i in range(4)] == ["name,id", "emma,1", '{"a": 1}', "ava"]
    assert caplog.messages == [
        f"{paths[0]}, {paths[1]}: read as raw lines; if the examples are one column of a table, give its name or "
        "number as column"
    ]
