"""`sequentia export`: convert a trained model for other software."""

from pathlib import Path

from sequentia.commands.parser import Parser
from sequentia.runs import find_checkpoint


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(prog="sequentia export", description="Convert a trained model for other software.")
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="directory (gpt2) or file (onnx) to write; nothing is overwritten"
    )
    parser.add_ckpt_path()
    parser.add_argument(
        "--format",
        required=True,
        choices=["gpt2", "onnx"],  # the keys of `sequentia.export.FORMATS`, which is slow to import
        help="gpt2: a directory with weights and tokenizer for Hugging Face transformers (only for a Transformer); "
        "onnx: a file that maps context (batch, time) to logits (batch, time, vocabulary), with the vocabulary in its "
        "metadata",
    )
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.export import FORMATS
    from sequentia.loading import load

    FORMATS[options.format](load(checkpoint, trust=options.trust), options.out)
    return 0
