"""The texts that `score` and `classify` read: the arguments, then the lines of a file or of stdin."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from itertools import chain

from sequentia.commands.parser import Parser
from sequentia.errors import UserError

READ_LIKE_DATA = (
    "Without TEXT and --path, lines are read from stdin. Lines from a file or stdin are read like training data: "
    "leading and trailing whitespace is stripped, and blank lines are skipped."
)


def add_texts(parser: Parser) -> None:
    """Add the texts, and how a file of texts is read."""
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXT", help="a text, used as given")
    parser.add_ckpt_path()
    add("--path", metavar="FILE", help="file with one text per line: a packaged dataset's name, a file, a URL or -")
    add("--column", metavar="C", help="column of the file or stdin, if it is a table: its name, or its number from 1")
    add("--format", metavar="F", help="lines, csv, smi, json or fasta (default: from the content of the file)")
    add("--encoding", metavar="E", default="utf-8", help="encoding of the file or stdin (default: utf-8)")
    add("--skip_invalid", action="store_true", help="leave out lines of the file or stdin that are invalid")
    add("--raw", action="store_true", help="do not escape control characters (a tab in a text then adds a column)")


def check_given(options: Namespace) -> None:
    """Refuse to wait for lines from a terminal.

    Raises:
        UserError: There are no texts, and stdin is a terminal.
    """
    if not options.texts and options.path is None and sys.stdin.isatty():
        raise UserError("no texts: give a TEXT, --path FILE, or lines on stdin")


def texts_of(options: Namespace) -> Iterator[str]:
    """The texts in the order given.

    Raises:
        UserError: The file cannot be read.
    """
    from sequentia.data.paths import STDIN
    from sequentia.data.reading import Reading, texts

    reading = Reading(options.column, options.format, options.encoding, options.skip_invalid)
    read = options.path is not None or not options.texts
    return chain(options.texts, texts(STDIN if options.path is None else options.path, reading) if read else ())
