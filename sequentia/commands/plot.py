"""`sequentia plot`: draw a trained model, or the curves of its run."""

from typing import TYPE_CHECKING

from sequentia.commands.parser import Parser, out_path
from sequentia.errors import UserError
from sequentia.runs.directory import find_checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sequentia.models import LanguageModel


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
        choices=["pairs", "embedding", "attention", "curves", "guessing"],
        default="pairs",
        help="pairs: a heat map of which character follows which: counts if the model counts pairs, otherwise the "
        "probability of each character at the start of a line and after each first character; embedding: the "
        "characters at the first two principal components of their vectors; attention: which characters each character "
        "of a sample reads; curves: training and validation NLL by step; guessing: which share of "
        "lines is found after how many guesses in the order of probability, by the model and by an n-gram model of the "
        "same training lines (default: %(default)s)",
    )
    parser.add_argument("--text", help="for attention: the line, in place of a sample")
    parser.add_argument("--path", metavar="FILE", help="for guessing: the lines, in place of the run's test lines")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    for option, picture in (("text", "attention"), ("path", "guessing")):
        if getattr(options, option) is not None and options.what != picture:
            raise UserError(f"--{option} is for --what {picture}: give both")
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

    model = load(checkpoint, trust=options.trust)
    pictures = {
        "pairs": lambda: draw(model),
        "embedding": lambda: draw_embedding(model),
        "attention": lambda: draw_attention(model, options.text),
        "guessing": lambda: _draw_guessing(model, options.path),
    }
    save_figure(pictures[options.what], options.out)
    return 0


def _draw_guessing(model: "LanguageModel", path: str | None) -> "Figure":
    from sequentia.data.reading import texts
    from sequentia.evaluation.baselines import counted
    from sequentia.models import NGram
    from sequentia.reporting.guessing import draw_guessing
    from sequentia.runs.checkpoint import training_data

    data = training_data(model, "the guessing curve", "correct its path there")
    lines = list(texts(path)) if path is not None else [data.corpus.line(index) for index in data.split.test]
    return draw_guessing({"model": model, "n-gram": counted(NGram, data)}, lines)
