"""`sequentia score`: print the negative log-likelihood of texts under a trained model."""

import math
import os
import sys
from collections.abc import Iterator
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING

from sequentia.commands.parser import Parser
from sequentia.commands.texts import READ_LIKE_DATA, add_texts, check_given, texts_of
from sequentia.errors import UserError
from sequentia.runs.directory import find_checkpoint
from sequentia.text import printable

if TYPE_CHECKING:
    from sequentia.inference.scoring import Score


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia score",
        description="Print the negative log-likelihood of texts as tab-separated columns: text, chars (the number of "
        "predicted characters, end included) and nll (of the whole text in nats; inf if the model cannot produce it).",
        epilog=READ_LIKE_DATA,
    )
    add_texts(parser)
    add = parser.add_argument
    add("--label", metavar="LABEL", help="score as lines with this label (default: as lines with any label)")
    add(
        "--per_char",
        action="store_true",
        help="print a row per predicted character instead: text, pair (the previous character and the predicted one; a "
        "dot is the boundary), prob and logprob",
    )
    add("--top", type=int, default=0, metavar="K", help="with --per_char, also the K most probable characters there")
    add(
        "--rank",
        action="store_true",
        help="add the columns rank (how many lines are more probable: the number of guesses before this one, in the "
        "order of probability, estimated) and error (its standard error)",
    )
    add("--sort", action="store_true", help="the most probable text first")
    add("--color", action="store_true", help="on a terminal, shade each character by its probability")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_intermixed_args(arguments)
    if options.top and not options.per_char:
        raise UserError("--top is for --per_char: give both")
    check_given(options)
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.inference.labels import of_label
    from sequentia.inference.ranks import Ranks
    from sequentia.inference.scoring import most_probable, score
    from sequentia.reporting.shading import ansi, legend
    from sequentia.runs.checkpoint import load

    model = load(checkpoint, trust=options.trust)
    of_lines = of_label(model, options.label)
    results = score(of_lines, texts_of(options))
    if options.sort:
        results = iter(sorted(results, key=lambda result: result.nll))
    first = list(islice(results, 1))  # before the header: if the file cannot be read, nothing is printed
    ranks = Ranks(model, label=options.label) if options.rank else None
    color = options.color and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    columns = ["pair", "prob", "logprob"] if options.per_char else ["chars", "nll"]
    more = (["most_probable"] if options.per_char and options.top else []) + (["rank", "error"] if ranks else [])
    if color:
        print(legend(), file=sys.stderr)
    print("\t".join(["text", *columns, *more]))
    scored = impossible = 0
    for result in chain(first, results):
        shown = ansi(result) if color else result.text if options.raw else printable(result.text)
        rank = "".join(f"\t{value:.4g}" for value in ranks.rank(result.nll)) if ranks else ""
        if options.per_char:
            instead = most_probable(of_lines, result.text, options.top) if options.top else []
            for row, tokens in zip_longest(_per_char(result, options.raw), instead, fillvalue=()):
                others = " ".join(f"{printable(token)} {probability:.4f}" for token, probability in tokens)
                print(f"{shown}\t{row}" + (f"\t{others}" if options.top else "") + rank)
        else:
            print(f"{shown}\t{len(result.log_probs)}\t{result.nll:z.4f}{rank}")
        scored += 1
        impossible += math.isinf(result.nll)
    sys.stdout.flush()
    if impossible:
        reasons = "unknown characters, transitions of probability 0, or too long"
        found = f"{impossible:,} of {scored:,} texts score inf"
        print(f"{found}: the model cannot produce them ({reasons})", file=sys.stderr)
    return 0


def _per_char(result: "Score", raw: bool) -> Iterator[str]:
    """Pair, probability and log probability of each predicted character, tab-separated."""
    boundary = "."
    shown = [boundary, *(result.text if raw else map(printable, result.text)), boundary]
    for before, after, log_prob in zip(shown[:-1], shown[1:], result.log_probs.tolist(), strict=True):
        yield f"{before}{after}\t{math.exp(log_prob):.4f}\t{log_prob:z.4f}"
