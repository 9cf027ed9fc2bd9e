"""Parquet, with pyarrow."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO, Any

from sequentia.data.formats.table import Table
from sequentia.data.source import readable
from sequentia.errors import UserError

_MAGIC = b"PAR1"


def is_parquet(file: IO[bytes]) -> bool:
    """Whether an open file is Parquet; its position is at the start afterwards."""
    magic = file.read(len(_MAGIC))
    file.seek(0)
    return magic == _MAGIC


def parquet_table(file: IO[bytes], name: str) -> Table:
    """The table of a Parquet file.

    Args:
        file: The open file.
        name: Its name, for messages.

    Raises:
        UserError: The file is damaged, or pyarrow is missing.
    """
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f"{name} cannot be read without pyarrow: pip install pyarrow") from error

    def read(indices: Sequence[int]) -> Iterator[tuple[int, Sequence[Any]]]:
        chosen = [names[index] for index in indices]
        with readable(name):
            batches = parquet.iter_batches(columns=chosen)
            rows = (zip(*(batch.column(each).to_pylist() for each in chosen), strict=True) for batch in batches)
            yield from enumerate(chain.from_iterable(rows), start=1)

    with readable(name):
        parquet = ParquetFile(file)
        names = parquet.schema_arrow.names
    return Table(names, read)
