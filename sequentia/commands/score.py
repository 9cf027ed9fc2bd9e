"""`sequentia score`: tell how likely a trained model finds texts."""

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sequentia.cli import Parser
from sequentia.errors import UserError
from sequentia.runs import find_checkpoint
from sequentia.text import printable

if TYPE_CHECKING:
    from sequentia.scoring import Score


def parser() -> Parser:
    """The options."""
    parser = Parser(
        prog="sequentia score",
        description="Print the negative log likelihood of texts in nats, end included, as tab-separated columns: "
        "text, chars (predicted characters, the end included) and nll (inf if the model cannot produce the text).",
        epilog="Without TEXT and --path the lines of stdin are scored. Of a file or stdin, lines are read as training "
        "reads them: without white space around them, blank lines left out.",
    )
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXT", help="a text to score, taken as it stands")
    add("--ckpt_path", metavar="PATH", help="checkpoint file or run directory (its best); default: the newest run")
    add("--path", metavar="FILE", help="file with one text a line: a packaged data set's name, a file or a URL")
    add(
        "--per_char",
        action="store_true",
        help="a row for each predicted character: text, pair (the character before and the one predicted; the "
        "boundary is a dot), prob and logprob",
    )
    add("--raw", action="store_true", help="print control characters as they are; a tab in a text adds a column")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the subcommand; returns the exit code."""
    options = parser().parse_intermixed_args(arguments)
    if not options.texts and options.path is None and sys.stdin.isatty():
        raise UserError("nothing to score: give a TEXT, --path FILE, or lines on stdin")
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.checkpoint import load_model
    from sequentia.scoring import score

    model = load_model(checkpoint)
    texts = _Texts(options.texts, options.path)
    print("text\tpair\tprob\tlogprob" if options.per_char else "text\tchars\tnll")
    scored = impossible = 0
    for found in score(model, map(model.vocabulary.spell, texts)):
        shown = found.text if options.raw else printable(found.text)
        if options.per_char:
            for row in _per_char(found, options.raw):
                print(f"{shown}\t{row}")
        else:
            print(f"{shown}\t{len(found.log_probs)}\t{found.nll:z.4f}")
        scored += 1
        impossible += math.isinf(found.nll)
    sys.stdout.flush()
    if texts.blank:
        print(f"blank lines left out: {texts.blank:,}", file=sys.stderr)
    if impossible:
        why = "a character or a transition that it does not know"
        if model.max_positions is not None:
            why += f", or more than its {model.max_positions - 1} characters"
        print(f"{impossible:,} of {scored:,} texts score inf: the model cannot produce them ({why})", file=sys.stderr)
    return 0


class _Texts:
    """What to score, once: the arguments, then the file's lines; stdin's where neither is given.

    Attributes:
        blank: Blank lines left out so far.
    """

    def __init__(self, arguments: list[str], path: str | None) -> None:
        self.arguments, self.path = arguments, path
        self.blank = 0

    def __iter__(self) -> Iterator[str]:
        from sequentia.data.corpus import open_data, read_lines

        yield from self.arguments
        if self.path is not None:
            with open_data(self.path) as file:
                yield from self._kept(read_lines(file, self.path))
        elif not self.arguments:
            yield from self._kept(read_lines(sys.stdin.buffer, "stdin"))

    def _kept(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            if line:
                yield line
            else:
                self.blank += 1


def _per_char(found: "Score", raw: bool) -> Iterator[str]:
    """Pair, probability and log probability of each predicted character."""
    boundary = "."
    shown = [boundary, *(found.text if raw else map(printable, found.text)), boundary]
    for before, after, log_prob in zip(shown[:-1], shown[1:], found.log_probs.tolist(), strict=True):
        yield f"{before}{after}\t{math.exp(log_prob):.4f}\t{log_prob:z.4f}"
