"""`sequentia plot`: draw a trained model, or the curves of its run."""

from sequentia.commands.parser import Parser, out_path
from sequentia.runs.directory import find_checkpoint


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(prog="sequentia plot", description="Draw a trained model, or the curves of its run.")
    parser.add_argument(
        "out",
        type=out_path,
        metavar="OUT",
        help="image file to write (.png, .svg or .pdf); an existing file is replaced",
    )
    parser.add_ckpt_path()
    parser.add_argument(
        "--what",
        choices=["pairs", "embedding", "attention", "curves"],
        default="pairs",
        help="pairs: a heat map of which character follows which: counts if the model counts pairs, otherwise the "
        "probability of each character at the start of a line and after each first character; embedding: the "
        "characters at the first two principal components of their vectors; attention: which characters each character "
        "of a sample reads; curves: training and validation NLL by step (default: %(default)s)",
    )
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)
    # Imported here, because PyTorch and matplotlib are slow to import.
    from sequentia.reporting.curves import draw_curves, save_figure
    from sequentia.runs.history import read_history

    if options.what == "curves":
        history = read_history(checkpoint.parent)
        save_figure(lambda: draw_curves(history), options.out)
        return 0

    from sequentia.reporting.heatmap import draw
    from sequentia.reporting.pictures import draw_attention, draw_embedding
    from sequentia.runs.checkpoint import load

    picture = {"pairs": draw, "embedding": draw_embedding, "attention": draw_attention}[options.what]
    model = load(checkpoint, trust=options.trust)
    save_figure(lambda: picture(model), options.out)
    return 0
