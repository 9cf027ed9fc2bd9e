"""Text from elsewhere: safe to print on a terminal, and checked to be text."""

import codecs
import difflib
import io
import os
import re
import reprlib
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from sequentia.errors import UserError

# C0 controls, DEL and C1 controls; line and paragraph separators; bidirectional controls.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Escape control characters, so that `text` cannot move the cursor or forge a line.

    Example:
        >>> print(printable("a\x1b[2Jb"))
        a\x1b[2Jb
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


SYNONYMS = {
    "train": "fit",
    "generate": "sample",
    "epochs": "max_epochs",
    "steps": "max_steps",
    "seed": "seed_everything",
    "learning_rate": "lr",
    "file": "path",
    "gpus": "devices",
    "resume": "ckpt_path",
    "output_dir": "default_root_dir",
}
"""Names of commands and options in other programs that resemble those of this one too little."""


@contextmanager
def escaping() -> Iterator[None]:
    r"""Escape characters that the encoding of stdout or stderr lacks (`\u05d0`); if there are any, end with a warning.

    An error handler that drops or replaces them is kept: the user chose it (`PYTHONIOENCODING=ascii:replace`).
    """
    escaped = False

    def escape(error: UnicodeError) -> tuple[str | bytes, int]:
        nonlocal escaped
        escaped = True
        return codecs.backslashreplace_errors(error)

    codecs.register_error("sequentia.escape", escape)
    for name in ("stdout", "stderr"):
        # A process can be started without them; the next file that it opens would receive what libraries print.
        stream = getattr(sys, name) or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper) and stream.errors not in ("ignore", "replace", "xmlcharrefreplace"):
            with suppress(OSError):  # the program has replaced a file by a terminal
                stream.reconfigure(errors="sequentia.escape")
    try:
        yield
    finally:
        if escaped:
            with suppress(OSError, ValueError):  # stderr is full or closed
                print("characters that the encoding lacks are escaped: set PYTHONIOENCODING=utf-8", file=sys.stderr)


def terminal_width(stream: TextIO) -> int:
    """Columns of the terminal that a stream is, at least 20; without limit if it is a file or a pipe."""
    if not stream.isatty():
        return sys.maxsize
    with suppress(OSError):  # some terminals have no size
        return max(20, os.get_terminal_size(stream.fileno()).columns or 80)
    return max(20, shutil.get_terminal_size().columns)


def for_terminal(text: str, stream: TextIO) -> str:
    """Break lines at spaces if the stream is a terminal, which would break them anywhere.

    A line of a label and a command, such as `  sample   sequentia sample gru`, continues after a backslash, so that the
    command can be copied.
    """
    width, lines = terminal_width(stream), []
    if width == sys.maxsize:
        return text
    for line in text.split("\n"):
        end = " \\" if re.match(r"  \w+ {2,}\w", line) else ""
        words = re.sub("'[^']*'", lambda quoted: quoted[0].replace(" ", "\0"), line)
        parts = textwrap.wrap(
            words, width - len(end), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        lines.append(f"{end}\n".join(parts).replace("\0", " "))
    return "\n".join(lines)


_OPTION = re.compile(r"(`[^`]*`|tensorboard .+)|(?<![\w-])--(?:trainer\.)?([a-z]\w*(?:\.\w+)*)")


def in_python(text: str) -> str:
    """A message of the command `fit` with its options named as arguments of `sequentia.fit`.

    Example:
        >>> in_python("--trainer.max_steps changes the length, --model.members the mixture; see `sequentia fit --help`")
        'max_steps changes the length, model__members the mixture; see `sequentia fit --help`'
        >>> in_python("no data file 'first--names.txt'")
        "no data file 'first--names.txt'"
    """
    return _OPTION.sub(lambda match: match[1] or match[2].replace(".", "__"), text)


def messages() -> TextIO:
    """Where messages go: stderr, but stdout in a notebook, which shows stderr as if it were an error."""
    return sys.stdout if in_notebook() else sys.stderr


def ipython_shell() -> Any:
    """The shell of the IPython in which this process runs; None outside of IPython."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return hasattr(ipython_shell(), "kernel")


_COLORS = {"red": 31, "green": 32}


def colored(text: str, color: str, stream: TextIO) -> str:
    """The text in bold and in a color, if the stream is a terminal and the variable NO_COLOR is not set."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[1;{_COLORS[color]}m{text}\x1b[0m"


def shorten(text: str, length: int = 60) -> str:
    """Truncate `text` to `length` characters; the last one becomes an ellipsis if anything is cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def brief(value: object) -> str:
    """An untrusted value as text of limited length, on one line."""
    return " ".join(reprlib.repr(value).split())[:80]


def similar(word: str, names: Iterable[str], number: int = 1) -> list[str]:
    """The names most similar to a misspelt one; only the equal ones, or a synonym, if there are any.

    Example:
        >>> similar("lstm", ["LSTM", "RNN"]), similar("transfomer", ["gru", "transformer"]), similar("x", ["gru"])
        (['LSTM'], ['transformer'], [])
    """
    plain: dict[str, list[str]] = {}
    for name in names:
        plain.setdefault(name.lower().replace("-", "_"), []).append(name)
    word = word.lower().replace("-", "_")
    word = word if word in plain else SYNONYMS.get(word, word)
    found = [word] if word in plain else difflib.get_close_matches(word, plain, n=number)
    return [name for one in found for name in plain[one]]


def strings(items: Iterable[str], name: str) -> Iterator[str]:
    """The items of an iterable that a caller gave, each checked to be a string.

    Args:
        items: A list, a column of a table, a generator, ...
        name: Their name in a message.

    Raises:
        UserError: `items` is a single string, a mapping, a whole table or not iterable, or an item is not a string.

    Example:
        >>> list(strings(("emma", "ava"), "the lines"))
        ['emma', 'ava']
        >>> list(strings(["emma", None], "the lines"))
        Traceback (most recent call last):
        sequentia.errors.UserError: item 1 of the lines is None, not a string: convert it, or leave it out
    """
    table = isinstance(items, Mapping) or hasattr(items, "columns")  # an iterator of keys or names of columns
    if table or isinstance(items, str) or not isinstance(items, Iterable):
        raise UserError(f"{name} must be a list, a column or another iterable of strings, got {brief(items)}")
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise UserError(
                f"item {index:,} of {name} is {reprlib.repr(item)}, not a string: convert it, or leave it out"
            )
        yield item
