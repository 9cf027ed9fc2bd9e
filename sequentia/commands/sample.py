"""`sequentia sample`: print new lines from a trained model."""

import sys

from sequentia.commands.conditions import add_columns, add_conditions, columns, conditions
from sequentia.commands.parser import Parser
from sequentia.errors import UserError
from sequentia.runs.directory import find_checkpoint
from sequentia.text import printable


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(prog="sequentia sample", description="Print new lines from a trained model, one sample per line.")
    parser.add_ckpt_path(first=True)
    parser.add_argument(
        "--num_samples", type=int, default=20, metavar="N", help="number of lines (default: %(default)s)"
    )
    add_conditions(parser, drawing=True)
    add_columns(parser)
    parser.add_argument("--show_label", action="store_true", help="print the label of each line and a tab before it")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        UserError: Hardly any line meets the conditions. Those that were found have been printed.
    """
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from tqdm import tqdm

    from sequentia.inference.sampling import generate
    from sequentia.runs.checkpoint import load

    model = load(checkpoint, trust=options.trust)
    if options.show_label and not model.vocabulary.labels:
        raise UserError("the model has no labels: omit --show_label")
    draws = generate(model, options.num_samples, **conditions(options, drawing=True))
    bar = tqdm(total=draws.wanted, unit=" lines", delay=2, disable=None, leave=False)  # on a terminal only

    def show_progress() -> None:
        bar.set_postfix_str(f"{draws.drawn:,} draws", refresh=False)
        bar.update(draws.found - bar.n)

    draws.after_batch = show_progress
    show = bar.write if sys.stdout.isatty() and not bar.disable else print
    with bar:
        for sample in draws:
            label = f"{printable(sample.label)}\t" if options.show_label else ""
            show(label + columns(sample, options))
    sys.stdout.flush()
    if shortage := draws.shortage():
        raise UserError(shortage)
    if draws.fitting < draws.drawn:
        print(draws.frequency(), file=sys.stderr)
    return 0
