"""`sequentia export`: write a trained model for other software."""

from pathlib import Path

from sequentia.cli import Parser
from sequentia.runs import find_checkpoint


def parser() -> Parser:
    """The options."""
    parser = Parser(prog="sequentia export", description="Write a trained model for other software.")
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help="directory (gpt2) or file (onnx) to write, which must not exist")
    add("--ckpt_path", metavar="PATH", help="checkpoint file or run directory (its best); default: the newest run")
    add(
        "--format",
        required=True,
        choices=["gpt2", "onnx"],
        help="gpt2: a directory with weights and tokenizer for Hugging Face transformers, of a Transformer alone; "
        "onnx: a file that maps context (batch, time) to logits, with the vocabulary in its metadata",
    )
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the subcommand; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.checkpoint import load_model
    from sequentia.export import FORMATS

    FORMATS[options.format](load_model(checkpoint), options.out)
    return 0
