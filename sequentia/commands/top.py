"""`sequentia top`: print the most probable lines of a trained model."""

import sys
from time import monotonic

from sequentia.commands.conditions import add_columns, add_conditions, columns, conditions
from sequentia.commands.parser import Parser
from sequentia.errors import UserError
from sequentia.runs.directory import find_checkpoint

_SECONDS = 3.0  # a search that takes longer is reported


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia top",
        description="Print the most probable lines of a trained model, exactly and in order, the most probable first. "
        "It takes about 1 GB of memory at most, and gives up after 3,000,000 beginnings of lines.",
    )
    parser.add_ckpt_path(first=True)
    parser.add_argument("--num_lines", type=int, default=20, metavar="N", help="number of lines (default: %(default)s)")
    add_conditions(parser, drawing=False)
    add_columns(parser)
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        UserError: The model has fewer lines. Those that there are have been printed.
    """
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from tqdm import tqdm

    from sequentia.inference.options import SamplingOptions
    from sequentia.inference.search import Search
    from sequentia.runs.checkpoint import load

    model = load(checkpoint, trust=options.trust)
    search = Search(model, options.num_lines, SamplingOptions(**conditions(options, drawing=False)))
    started = monotonic()
    with tqdm(unit=" beginnings", delay=2, disable=None, leave=False) as bar:  # on a terminal only
        search.after_batch = lambda: bar.update(search.beginnings - bar.n)
        lines = search.run()
    for line in lines:
        print(columns(line, options))
    sys.stdout.flush()
    if monotonic() - started > _SECONDS:
        print(f"looked at {search.beginnings:,} beginnings of lines", file=sys.stderr)
    if len(lines) < search.wanted:
        found = f"found {len(lines):,} of {search.wanted:,} lines"
        raise UserError(f"{found}: too few meet the conditions; lower --num_lines, or loosen them")
    return 0
