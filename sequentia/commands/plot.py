"""`sequentia plot`: draw a trained model, or the curves of its run."""

import sys

from sequentia.commands.parser import Parser, out_path
from sequentia.errors import UserError
from sequentia.reporting import PICTURES
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
    meanings = "; ".join(f"{name}: {picture.meaning}" for name, picture in PICTURES.items())
    parser.add_argument("--what", choices=PICTURES, default="pairs", help=f"{meanings} (default: %(default)s)")
    parser.add_argument("--text", help="for attention: the line, in place of a sample")
    parser.add_argument("--path", metavar="FILE", help="for guessing: the lines, in place of the run's test lines")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    picture, given = PICTURES[options.what], {}
    for what, other in PICTURES.items():
        if other.option and getattr(options, other.option) is not None:
            if what != options.what:
                raise UserError(f"--{other.option} is for --what {what}: give both")
            given[other.option] = getattr(options, other.option)
    checkpoint = find_checkpoint(options.ckpt_path)
    # Imported here, because PyTorch and matplotlib are slow to import.
    from sequentia.reporting.curves import save_figure
    from sequentia.runs.checkpoint import load
    from sequentia.runs.history import read_history

    source = read_history(checkpoint.parent) if picture.of_run else load(checkpoint, trust=options.trust)
    save_figure(lambda: picture.draw(source, **given), options.out)
    print(
        f"wrote {options.out}: {options.what} of {checkpoint.parent if picture.of_run else checkpoint}", file=sys.stderr
    )
    return 0
