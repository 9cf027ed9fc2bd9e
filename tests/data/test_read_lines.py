"""`read_lines` returns the lines that `read_corpus` keeps, and the blank lines that it counts."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequentia.data.corpus import read_corpus, read_lines

CHARACTERS = st.sampled_from("ab. \t\r\n\x0b\x0c\x1c\x85\u2028\u3000\ufeffé")


@given(text=st.text(CHARACTERS), block=st.integers(1, 8))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_are_those_of_the_corpus(text: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sequentia.data.source._BLOCK", block)
    lines = list(read_lines(io.BytesIO(f"{text}\nz".encode()), "text"))
    path = tmp_path / "data.txt"
    path.write_bytes(f"{text}\nz".encode())
    corpus = read_corpus([str(path)])
    assert [line for line in lines if line] == [corpus.line(i) for i in range(len(corpus))]
    assert lines.count("") == corpus.num_blank
