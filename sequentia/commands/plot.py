"""`sequentia plot`: draw the bigrams of a trained model."""

from pathlib import Path

from sequentia.cli import Parser
from sequentia.runs import find_checkpoint


def parser() -> Parser:
    """The options."""
    parser = Parser(
        prog="sequentia plot",
        description="Draw a heat map of a trained model's bigrams: the counts of a counted bigram; of any other model "
        "the probability of each character at a line's start and behind its first character.",
    )
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help="picture to write, .png, .svg or .pdf; one that is there is replaced")
    add("--ckpt_path", metavar="PATH", help="checkpoint file or run directory (its best); default: the newest run")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the subcommand; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.checkpoint import load_model
    from sequentia.heatmap import save

    save(load_model(checkpoint), options.out)
    return 0
