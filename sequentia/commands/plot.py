"""`sequentia plot`: draw a heat map of a trained model's character pairs."""

from pathlib import Path

from sequentia.commands.parser import Parser
from sequentia.runs import find_checkpoint


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia plot",
        description="Draw a heat map of a trained model's character pairs: the counts of a model that counts them, "
        "otherwise the probability of each character at the start of a line and after each first character.",
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="image file to write (.png, .svg or .pdf); an existing file is replaced"
    )
    parser.add_ckpt_path()
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.heatmap import save
    from sequentia.loading import load

    save(load(checkpoint, trust=options.trust), options.out)
    return 0
