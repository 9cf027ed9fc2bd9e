"""`sequentia plot`: draw a trained model's character pairs, or the curves of its run."""

from pathlib import Path

from sequentia.commands.parser import Parser
from sequentia.runs.directory import find_checkpoint


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia plot", description="Draw a trained model's character pairs, or the curves of its run."
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="image file to write (.png, .svg or .pdf); an existing file is replaced"
    )
    parser.add_ckpt_path()
    parser.add_argument(
        "--what",
        choices=["pairs", "curves"],
        default="pairs",
        help="pairs: a heat map of which character follows which: counts if the model counts pairs, otherwise the "
        "probability of each character at the start of a line and after each first character; curves: training and "
        "validation NLL by step (default: %(default)s)",
    )
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)
    if options.what == "curves":
        from sequentia.reporting.curves import draw_curves, save_figure
        from sequentia.runs.history import read_history

        history = read_history(checkpoint.parent)
        save_figure(lambda: draw_curves(history), options.out)
        return 0

    from sequentia.reporting.heatmap import save
    from sequentia.runs.checkpoint import load

    save(load(checkpoint, trust=options.trust), options.out)
    return 0
