"""A column of a table is read like the text file with one cell per line, whatever the name of the file, or refused."""

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
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequentia.data import CharDataModule, decoding
from sequentia.data.formats import table
from sequentia.data.reading import Reading, blocks
from sequentia.errors import UserError
from tests.data.conftest import lines_in

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
    """The cells of a column of `memory://table.<suffix>`, read in small blocks."""
    MemoryFileSystem().pipe_file(f"/table.{suffix}", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        patch.setattr(decoding, "_HEAD", 4)  # the longest byte order mark
        patch.setattr(table, "_BLOCK", block)
        return lines_in(blocks(f"memory://table.{suffix}", Reading(str(column))))


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
    assert read(content, suffix, index + 1, block) in ([names[index], *expected], expected)


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


def test_a_column_of_a_parquet_file_is_read_by_name_and_by_number() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="an optional dependency")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    table = pyarrow.table({"id": [1, 2, 3], "name": ["emma", None, " a\nb"], "list": [[1], [2], [3]]})
    parquet.write_table(table, file)
    assert read(file.getvalue(), "parquet", "name") == ["emma", "", "a b"]
    assert read(file.getvalue(), "parquet", 1) == ["1", "2", "3"]
    name = "memory://table.parquet"
    for content, column, message in (
        (file.getvalue(), "x", f"{name} has no column 'x': it has id, name, list; a number"),
        (file.getvalue(), "list", f"row 1 of {name} has a value of type list in column 'list', which is not a string"),
        (file.getvalue()[:-10], "name", f"cannot read {name}: "),
    ):
        with pytest.raises(UserError, match=f"^{re.escape(message)}"):
            read(content, "parquet", column)


def test_parquet_without_pyarrow_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyarrow", "pyarrow.parquet"):  # another test may have imported the second
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UserError, match=r"^memory://table\.parquet cannot be read without pyarrow: pip install pyarrow$"
    ):
        read(b"PAR1", "parquet", "name")


PEOPLE = "id;name;weight\n1;Zoë;1,5\n2;Ava;2,5\n"
SMILES = "CCO ethanol\nCC(=O)O acetic acid\n[Na+].[Cl-]\nN,N 1,2-x\n"
NESTED = [{"id": 1, "name": "Zoë"}, {"id": 2, "name": "Ava"}]


@pytest.mark.parametrize("suffix", ["csv", "txt", "json"])
@pytest.mark.parametrize(
    ("content", "column"),
    [
        *((PEOPLE.replace(";", delimiter), column) for delimiter in ";|\t" for column in ("name", " NAME", 2)),
        ('id,name\r\n1,"Zoë"\r\n2,Ava\r\n', "name"),
        ('"id", "name"\n"1,2", "Zoë"\n"2,1", "Ava"\n', "name"),
        (f"\ufeff{PEOPLE}", "name"),
        (f"\n{PEOPLE}", "name"),
        ("name;\nZoë;\nAva;\n", "name"),
        ("name;id\nZoë;1;\nAva;2;\n", "name"),
        ("Zoë\t2018\nAva\t2019\n", 1),
        ("2017;2018\nx;Zoë\ny;Ava\n", "2018"),
        ("name\nZoë\nAva\n", "name"),
        *((json.dumps(NESTED, indent=indent), column) for indent in (None, 1) for column in ("name", "Name", 2)),
        ("\n".join(json.dumps(row) for row in NESTED), "name"),
    ],
)
def test_the_layout_follows_from_the_content_whatever_the_suffix(content: str, column: str | int, suffix: str) -> None:
    assert [cell for cell in read(content.encode(), suffix, column) if cell] == ["Zoë", "Ava"]


def test_a_header_of_one_name_makes_one_column_whatever_its_cells_contain() -> None:
    assert read(b"name\na;b\nc;d,e f\n", "csv", "Name") == ["a;b", "c;d,e f"]


def test_a_smi_file_has_smiles_and_names_that_may_be_missing_or_have_spaces() -> None:
    assert read(SMILES.encode(), "smi", 1) == ["CCO", "CC(=O)O", "[Na+].[Cl-]", "N,N"]
    assert read(SMILES.encode(), "smi", 2) == ["ethanol", "acetic acid", "", "1,2-x"]
    assert read(b"smiles\tname\nCCO\tethyl alcohol\n", "smi", "name") == ["ethyl alcohol"]


@pytest.mark.parametrize(
    ("content", "role"),
    [
        ("name,age\nEmma,7\nAva,8\n", "a header; if it is an example, put a header above it and give the name of"),
        ("name,state\n" + "Emma,MA\n" * 5, "a header; "),
        ("who,city\nEmma,Rome\nAva,Bern\n", "an example; if it is a header, give the name of the column"),
        ("name,city\nEmma,Rome\nAva,Bern\n", "a header; "),
    ],
)
def test_a_number_takes_the_first_row_for_a_header_by_its_content_and_says_which(
    content: str, role: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sequentia"):
        cells = read(content.encode(), "txt", 1)
    first = content.partition(",")[0]
    assert (cells[0] == first) == role.startswith("an example")
    assert caplog.messages[0].startswith(
        f"column 1 of memory://table.txt: the first row, {first!r}, is taken as {role}"
    )


@pytest.mark.parametrize(
    ("suffix", "content", "column", "message"),
    [
        ("csv", b"name,id\na,1\n", "nme", "table.csv has no column 'nme': did you mean 'name'? It has name, id;"),
        ("csv", b"name,id\na,1\n", 3, "table.csv has no column '3': it has name, id; a number, from 1"),
        ("csv", b"x,x\na,1\n", "x", "table.csv has 2 columns with the name 'x': give the number of one"),
        ("txt", b"a;b\n1;2\n1;2;3\n1;2\n", "a", 'line 3 of table.txt has 3 columns, and the first has 2: put a cell'),
        ("csv", b'a\n"x\ny', "a", "line 2 of table.csv is not valid CSV (unexpected end of data)"),
        ("csv", b"a\n" + b"x" * (1 << 18), "a", "line 2 of table.csv is not valid CSV (field larger than field limit"),
        ("csv", ",".join(f"c{i}" for i in range(100_000)).encode(), "x", "table.csv has no column 'x': it has c0, c1,"),
        ("json", b'["a",\n\n"b" "c"]', 1, "table.json is not valid JSON (Expecting ',' delimiter: line 3 column 5"),
        ("json", b'["a", [["b"]]]', 1, "row 2 of table.json has a value of type list in column '1', which is not a"),
        ("jsonl", b'{"a": 1}\n' + b"[" * 100_000, "a", "line 2 of table.jsonl is not valid JSON (maximum recursion"),
        ("jsonl", b'{"a": 1}\n{"a": tru}\n', "a", "line 2 of table.jsonl is not valid JSON (Expecting value: line 1"),
        ("jsonl", b'{"a": [1]}\n{"a": true}', "a", "row 1 of table.jsonl has a value of type list in column 'a'"),
        ("jsonl", b'{"a": 1}\n{"b": 2}\n', "c", "table.jsonl has no column 'c': it has a, b;"),
        ("jsonl", b'"a"\n"b"\n', "a", "table.jsonl has no column 'a': it has 1; a number, from 1, names a column"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_with_its_line_in_at_most_400_characters(
    suffix: str, content: bytes, column: str | int, message: str
) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message.replace('table.', 'memory://table.'))}") as error:
        read(content, suffix, column)
    assert len(str(error.value)) <= 400
    assert "\n" not in str(error.value)


def test_invalid_rows_are_left_out_on_request_and_counted(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    for content, count, message in (
        (b"a;b\nx;1\ny;1;2\nz\nw;2\n", 2, "line 3 of {} has 3 columns, and the first has 2"),
        (b'a,b\nx,1\n"y"y,1\nw,2\n', 1, "line 3 of {} is not valid CSV (',' expected after '\"')"),
        (b'{"a": "x"}\n{"a": \n{"a": []}\n{"a": "w"}\n', 2, "line 2 of {} is not valid JSON (Expecting value"),
    ):
        path = write(content, "t.txt")
        assert lines_in(blocks(path, Reading("a", skip_invalid=True))) == ["x", "w"]
        assert caplog.messages[-1].startswith(
            f"{path}: invalid lines dropped: {count}; the first: {message.format(path)}"
        )


def test_blank_cells_are_counted_and_line_breaks_become_spaces(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(b'name\n"a\nb"\n"c\r\nd "\n\nemma\n', "t.csv")
    with caplog.at_level(logging.INFO, "sequentia"):
        data = CharDataModule(path, column="name", val_fraction=0, test_fraction=0)
        data.setup("fit")
    assert [data.corpus.line(i) for i in range(len(data.corpus))] == ["a b", "c d", "emma"]
    assert caplog.messages[1:] == ["lines dropped: 1 blank, 0 longer than max_length 256"]


def test_a_column_without_text_is_refused(write: Callable[..., str]) -> None:
    with pytest.raises(UserError, match=r"t\.csv has no text in column 'a': give another column or file"):
        CharDataModule(write(b"a,b\n,1\n ,2\n", "t.csv"), column="a").corpus  # noqa: B018
    with pytest.raises(UserError, match=r"^U\+D800 is half a surrogate pair, not a character$"):
        CharDataModule(write(b'["\\ud800"]', "t.json"), column=1).corpus  # noqa: B018


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("t.txt", "name\tid\n" + "emma\t1\n" * 9, "name, id"),
        ("t.smi", "CCO ethanol\nC\n", "CCO, ethanol"),
    ],
)
def test_a_table_without_a_column_is_read_as_raw_lines_with_a_warning_that_names_the_columns(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture, name: str, content: str, names: str
) -> None:
    path = write(content.encode(), name)
    assert lines_in(blocks(path, Reading())) == content.splitlines()
    assert caplog.messages == [
        f"{path}: read as raw lines; if the examples are one column of a table ({names}), give its name or number as "
        "column"
    ]
    caplog.clear()
    assert lines_in(blocks(path, Reading(format="lines"))) == content.splitlines()
    assert not caplog.messages


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ('["a", "b"]', "ab"), ('[\n"a",\n"b"\n]\n', "ab"), ('"a"\n"b"\n', None),
        ('{"x": "a"}\n{"x": "b"}\n', "ab"), ("a\nb\n", "ab"), ("Paris, Rome\n" * 20, None),
        ("[Na+].[Cl-]\n[C@H]\n", None),
        ("1 2\n" * 20, None),
    ],
)  # fmt: skip
def test_one_column_needs_no_option_and_text_that_is_no_table_is_read_as_lines(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture, content: str, lines: str | None
) -> None:
    path = write(content.encode(), "t.txt")
    assert lines_in(blocks(path, Reading())) == list(lines or content.splitlines())
    assert not caplog.messages


def test_text_that_begins_like_json_but_is_not_is_read_as_lines_unless_the_user_calls_it_json(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    for content in ("[\nemma\n]\nava\n", '{\n"emma",\n', '["a"]\n["b"]\n'):
        path = write(content.encode(), "t.txt")
        caplog.clear()
        assert lines_in(blocks(path, Reading())) == content.splitlines()
        assert caplog.messages[0].startswith(f"{path}: read as raw lines: it begins like JSON, but is not valid JSON (")
        for name, reading in (("t.json", Reading()), ("u.txt", Reading(format="json")), ("u.txt", Reading("1"))):
            with pytest.raises(UserError, match=r"is not valid JSON|has a value of type list"):
                list(blocks(write(content.encode(), name), reading))
    content = "[1]\nemma\n{}\n"
    caplog.clear()
    assert lines_in(blocks(write(content.encode()), Reading())) == content.splitlines()
    assert not caplog.messages


def test_json_with_several_columns_is_refused_without_a_column(write: Callable[..., str]) -> None:
    for content in (json.dumps(NESTED), "\n".join(map(json.dumps, NESTED))):
        with pytest.raises(UserError, match=r"is a table with the columns id, name: give the name or number of one as"):
            CharDataModule(write(content.encode(), "t.txt")).corpus  # noqa: B018


def test_the_options_of_reading_are_those_of_every_file_and_each_file_has_its_own_layout(
    write: Callable[..., str],
) -> None:
    data = CharDataModule(
        write(b"name,id\nemma,1\nava,2\n", "t.csv"),
        write(gzip.compress(b'{"id": 1, "name": "mia"}\n{"name": "zoe"}'), "v.gz"),
        write(b"id|name\n1|leo\n", "test"),
        column="name",
    )
    assert [data.corpus.line(i) for i in range(len(data.corpus))] == ["emma", "ava", "mia", "zoe", "leo"]
    assert data.corpus.lines_per_file == (2, 2, 1)
    for options, message in (
        ({"format": "xml"}, "format must be one of lines, csv, smi, json, fasta, got 'xml'"),
        (
            {"format": "lines", "column": 1},
            "is read as lines, which has no columns: omit column, or give",
        ),
        ({"format": "csv"}, r"t\.csv is a table with the columns name, id: give the name or number of one"),
    ):
        with pytest.raises(UserError, match=message):
            CharDataModule(data.path, **options).corpus  # noqa: B018
