"""The file that torch.save writes, read by its format: a zip archive with one pickle and the bytes of each tensor.

PyTorch's own reader trusts the archive. It verifies no checksums, takes the size of a tensor from the pickle, and reads
nothing at all for an entry that is marked as a directory, which leaves uninitialized memory in the tensor. Its
unpickler can be made to allocate gigabytes. Here every byte that is used is covered by a checksum, the pickle can only
build tensors and plain values, and both are limited before they are read.
"""

import gc
import os
import pickletools
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import torch
from torch import Tensor

from sequentia.errors import UserError

_DIRECTORY_LIMIT = 1 << 22  # bytes, for about 65,000 tensors: zipfile takes 10 microseconds for each
_PICKLE_LIMIT = 1 << 25  # bytes; a vocabulary of all characters takes 4 million
_VALUES_LIMIT = 500_000  # opcodes: 2 microseconds and 100 bytes each; a tensor takes 30. Also values, repeated ones too
_DEPTH_LIMIT = 50

_END_RECORDS = struct.Struct("<4s36xQ8x 20x 4s8xL4xH")
"""The last 98 bytes of the archive: zip64 end record, its locator, end record."""


def load_archive(path: Path) -> Any:
    """The value that torch.save wrote to a file: plain values and tensors on the CPU, which require no gradients.

    Raises:
        UserError: The file is not such an archive, or holds anything else; the message is the reason.
        OSError: It cannot be read.
        Exception: It is damaged, which shows in many ways.
    """
    with _opened(path) as archive:
        (prefix,) = (name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl"))
        if archive.read(f"{prefix}byteorder") != sys.byteorder.encode():
            raise UserError("it was written on a machine with another byte order")
        if archive.getinfo(f"{prefix}data.pkl").file_size > _PICKLE_LIMIT:
            raise UserError("it has more values than any checkpoint")
        value = _Unpickler(archive, prefix).load()
    _check_extent(value)
    return value


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    """The archive, whose entries fit into the file and cannot be mistaken for each other."""
    with path.open("rb") as file:
        if _directory_size(file) > _DIRECTORY_LIMIT:
            raise UserError("it has more entries than any checkpoint")
        with ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != ZIP_STORED for entry in entries):
                raise UserError("it is compressed, which a checkpoint never is")
            if len({entry.filename for entry in entries}) < len(entries):
                raise UserError("it has several entries of one name")
            if sum(entry.file_size for entry in entries) > file.seek(0, os.SEEK_END):
                raise UserError("its entries are larger than the file")
            yield archive


def _directory_size(file: BinaryIO) -> int:
    """Bytes of the archive's directory, which zipfile reads as a whole: the larger of the two records about it."""
    if file.seek(0, os.SEEK_END) < _END_RECORDS.size:
        raise UserError("it is truncated, or not a checkpoint")
    file.seek(-_END_RECORDS.size, os.SEEK_END)
    zip64, size64, end, size, comment = _END_RECORDS.unpack(file.read())
    if end != b"PK\5\6" or comment:
        raise UserError("it is truncated, or not a checkpoint")
    return max(size, size64 if zip64 == b"PK\6\6" else 0)


class _Unpickler:
    """Executes a pickle, but only the opcodes that torch.save writes for tensors and plain values.

    Nothing that the pickle names is imported or called.

    Args:
        archive: The checked archive.
        prefix: The directory in the archive in which everything is.
    """

    def __init__(self, archive: ZipFile, prefix: str) -> None:
        self.archive, self.prefix = archive, prefix
        self.stack: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, Any] = {}
        self.data: dict[str, Tensor] = {}  # bytes of the tensors, by the name of their entry

    def load(self) -> Any:
        """The value."""
        pickle = self.archive.read(f"{self.prefix}data.pkl")
        with _no_garbage_collection():
            for count, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
                if count > _VALUES_LIMIT:
                    raise UserError("it has more values than any checkpoint")
                self._execute(opcode.name, argument)
        (value,) = self.stack
        return value

    def _execute(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:  # the frequent ones first
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "BININT1" | "BINUNICODE" | "BININT2" | "BININT" | "BINFLOAT":
                stack.append(argument)
            case "MARK":
                self.marks.append(len(stack))
            case "REDUCE":
                function, arguments = self._pop(-2)
                stack.append(_expect(function, _Function)(*arguments))
            case "GLOBAL":
                if argument not in _GLOBALS:
                    raise UserError(f"it holds more than tensors and plain values: {argument[:80]}")
                stack.append(_GLOBALS[argument])
            case "BINPERSID":
                stack.append(self._read_data(*stack.pop()))
            case "TUPLE":
                stack.append(tuple(self._pop(self.marks.pop())))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(-int(opcode[-1]))))
            case "SETITEM" | "SETITEMS":
                items = self._pop(-2 if opcode == "SETITEM" else self.marks.pop())
                target = _expect(stack[-1], dict)
                for key, value in zip(items[::2], items[1::2], strict=True):
                    target[_expect(key, str, int)] = value
            case "APPEND" | "APPENDS":
                items = self._pop(-1 if opcode == "APPEND" else self.marks.pop())
                _expect(stack[-1], list).extend(items)
            case "LONG1":
                if not -(2**63) <= argument < 2**64:
                    raise UserError("it has a number of more than 64 bits")
                stack.append(argument)
            case "BUILD":  # of an OrderedDict: attributes, which are the versions of modules
                stack.pop()
                _expect(stack[-1], dict)
            case "PROTO" | "STOP":
                pass
            case _:
                if opcode not in _NEW:
                    raise UserError(f"it holds more than tensors and plain values: {opcode}")
                stack.append(_NEW[opcode]())

    def _pop(self, start: int) -> list[Any]:
        """Remove the values from index `start` on."""
        if start < -len(self.stack):
            raise UserError("its pickle is damaged")
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _read_data(self, kind: str, dtype: torch.dtype, key: str, device: str, numel: int) -> Tensor:
        """The elements of one or several tensors, `(numel,)`."""
        name = f"{self.prefix}data/{_expect(key, str)}"
        if name not in self.data:
            self.data[name] = torch.tensor(np.frombuffer(self.archive.read(name), np.uint8))
        elements = self.data[name].view(_expect(dtype, torch.dtype))
        if kind != "storage" or numel != len(elements):
            raise UserError("a tensor's size is not that of its data")
        return elements


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python from searching for garbage, which takes most of the time if values are nested deeply."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Function:
    """A function that a pickle may call; a plain function could not be told from a value.

    Args:
        function: The function.
    """

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


def _tensor(elements: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *unused: object) -> Tensor:
    """A tensor; it must not have more elements than its data, as a view of one number could."""
    tensor = elements.as_strided(_expect(size, tuple), _expect(stride, tuple), _expect(offset, int))
    if tensor.numel() > elements.numel():
        raise UserError("a tensor is larger than its data")
    return tensor


def _expect(value: Any, *types: type) -> Any:
    """`value`, whose type must be exactly one of `types`.

    Raises:
        UserError: It is not.
    """
    if type(value) not in types:
        raise UserError("its pickle is damaged")
    return value


_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
"""Opcodes without arguments, and what makes their value."""

_GLOBALS = {
    "collections OrderedDict": _Function(dict),
    "collections Counter": _Function(Counter),  # of torch.optim.lr_scheduler.MultiStepLR
    "torch._utils _rebuild_tensor_v2": _Function(_tensor),
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch FloatStorage": torch.float32,
    "torch DoubleStorage": torch.float64,
    "torch ByteStorage": torch.uint8,
    "torch CharStorage": torch.int8,
    "torch ShortStorage": torch.int16,
    "torch IntStorage": torch.int32,
    "torch LongStorage": torch.int64,
    "torch BoolStorage": torch.bool,
}
"""What a pickle may name: functions, and types of tensors."""


def _check_extent(value: object) -> None:
    """Refuse values that contain themselves, or one another so often that a walk through them would not end.

    Raises:
        UserError: They do.
    """
    level, count = [value], 0
    for _ in range(_DEPTH_LIMIT):
        parts = [part for part in level if isinstance(part, dict | list | tuple)]
        count += sum(map(len, parts))
        if count > _VALUES_LIMIT:
            break
        level = [item for part in parts for item in (part.values() if isinstance(part, dict) else part)]
        if not level:
            return
    raise UserError("it has more values than any checkpoint")
